// Packs the npm packages: node npm/pack.mjs FOLDER PLATFORM=PROGRAM … writes to FOLDER the tarball of each platform, such as
// linux-x64, with its program, and that of the package nnlayer, which names the platforms as optional dependencies.
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "win32-x64"];

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const [folder, ...programs] = process.argv.slice(2);
const version = readFileSync(join(root, "Cargo.toml"), "utf8").match(/^version = "(.*)"$/m)[1];
const common = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
const stage = mkdtempSync(join(tmpdir(), "nnlayer-npm-"));

/** Packs a package of these files, each with the path that it is copied from. */
function pack(manifest, files) {
  const at = mkdtempSync(join(stage, "package-"));
  const licences = Object.fromEntries(["LICENSE-APACHE", "LICENSE-MIT"].map((name) => [name, join(root, name)]));
  for (const [name, from] of Object.entries({ ...files, ...licences })) copyFileSync(from, join(at, name));
  if (manifest.os) chmodSync(join(at, manifest.files[0]), 0o755);
  const packed = { ...manifest, version, files: [...manifest.files, ...Object.keys(licences)] };
  writeFileSync(join(at, "package.json"), JSON.stringify(packed, null, 2));
  execFileSync("npm", ["pack", "--silent", "--pack-destination", resolve(folder)], {
    cwd: at,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
}

mkdirSync(folder, { recursive: true });
for (const [platform, program] of programs.map((text) => text.split("="))) {
  if (!PLATFORMS.includes(platform)) throw new Error(`${platform} is not one of ${PLATFORMS.join(", ")}`);
  const [os, cpu] = platform.split("-");
  const name = os === "win32" ? "nnlayer.exe" : "nnlayer";
  const { description, license, repository } = common;
  const about = { description: `${description} The program for ${platform}.`, license, repository };
  pack({ name: `@nnlayer/${platform}`, ...about, os: [os], cpu: [cpu], files: [name] }, { [name]: program });
}
const sources = ["index.js", "index.d.ts", "nnlayer.js", "README.md"];
const optionalDependencies = Object.fromEntries(PLATFORMS.map((platform) => [`@nnlayer/${platform}`, version]));
pack({ ...common, optionalDependencies }, Object.fromEntries(sources.map((name) => [name, join(here, name)])));
rmSync(stage, { recursive: true });
