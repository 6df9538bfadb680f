// Arrays as a person types them, and as nnlayer reads them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { entryToJson, fromResult, parse, parseShape, reshape, resize, shortNumber, toJson, toTable } from "../array.js";

test("numbers are read in the ways people write them", () => {
  const written = ["1", "-0.0", "1e-3", "+.5", "5.", " 7 ", "１．５", "−2", "inf", "+Infinity", "-∞", "NaN", "true", ""];
  const read = ["1", "-0.0", "1e-3", "0.5", "5", "7", "1.5", "-2", '"Infinity"', '"Infinity"', '"-Infinity"', '"NaN"', "true", "null"];
  assert.deepEqual(written.map(entryToJson), read);
  assert.equal(entryToJson('1"2'), '"1\\"2"', "nnlayer refuses what is no number");
});

test("all digits of an entry reach the program", () => {
  assert.equal(toJson(parse("[[0.1000000000000000055511151231257827, 9007199254740993]]")),
    "[[0.1000000000000000055511151231257827,9007199254740993]]");
});

test("arrays are read from brackets, rows and tables", () => {
  const read = text => toJson(parse(text));
  assert.equal(read("5"), "5");
  assert.equal(read("1,2"), "[1,2]");
  assert.equal(read("1,2;"), "[[1,2]]");
  assert.equal(read("1 2\n3 4\n"), "[[1,2],[3,4]]");
  assert.equal(read("1\t\t3"), "[[1,null,3]]");
  assert.equal(read("[[[1,true],[\"NaN\",nan]]]"), '[[[1,true],["NaN","NaN"]]]');
  assert.equal(read(""), "[]");
  assert.equal(read('{"shape":[0,3],"data":[]}'), '{"shape":[0,3],"data":[]}');
  for (const ragged of ["1,2;3", "[[1,2],[3]]", "[1,[2]]", '{"shape":[2],"data":[1]}']) assert.throws(() => parse(ragged), RangeError);
});

test("shapes are read, and entries keep their index", () => {
  assert.deepEqual([parseShape("2×3"), parseShape("(2, 3)"), parseShape("２x３"), parseShape("")], [[2, 3], [2, 3], [2, 3], []]);
  for (const wrong of ["2.5", "-1", "a", "1,1,1,1,1,1,1,1,1", "1000000,1000000"]) assert.equal(parseShape(wrong), undefined);
  assert.equal(toJson(resize(parse("1,2;3,4"), [3, 1])), "[[1],[3],[0]]");
  assert.equal(toJson(resize(parse("1,2"), [2, 2])), "[[1,2],[0,0]]");
  assert.equal(toJson(reshape(parse("1,2;3,4"), [4])), "[1,2,3,4]");
});

test("results are read with every kind of number", () => {
  assert.deepEqual(fromResult([[1.5, "NaN"], ["Infinity", "-Infinity"]]), { shape: [2, 2], data: ["1.5", "nan", "inf", "-inf"] });
  assert.deepEqual(fromResult(JSON.parse("-0.0")), { shape: [], data: ["-0"] });
  assert.deepEqual(fromResult({ shape: [0, 3], data: [] }), { shape: [0, 3], data: [] });
  assert.equal(toTable(fromResult([[[1, 2], [3, 4]]])), "1\t2\n3\t4");
  assert.deepEqual([1 / 3, 1e21, -0, 1234567, 1e-320].map(shortNumber), ["0.333333", "1e+21", "-0", "1234567", "1e-320"]);
});
