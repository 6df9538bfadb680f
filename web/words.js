// The page's words in each language. Texts of the program itself, such as error messages, are English.

export const WORDS = {
  en: {
    layer: "Layer", example: "Example", language: "Language", inputs: "Inputs", results: "Results", graph: "Computational graph",
    steps: "Steps", command: "Command line", settings: "Settings", upstream: "upstream gradient ∂L/∂y; 1 in every entry by default",
    upstreamLoss: "upstream gradient of the loss; 1 by default", precision: "Precision", byDefault: "default",
    use: "use", useOf: name => `Use ${name}`, shape: "Shape", shapeOf: name => `Shape of ${name}`, asText: "Text", asTextOf: name => `${name} as text`,
    addRow: "+ row", removeRow: "− row", addColumn: "+ column", removeColumn: "− column",
    addRowTo: name => `Add a row to ${name}`, removeRowOf: name => `Remove the last row of ${name}`,
    addColumnTo: name => `Add a column to ${name}`, removeColumnOf: name => `Remove the last column of ${name}`,
    noEntries: "no entries", ragged: "All rows must have the same length.", badShape: "Write a shape such as 2×3, of at most eight axes.",
    allDigits: "all digits", check: "Check gradients", checking: "Checking…",
    copy: "Copy", copyOf: name => `Copy ${name} for a spreadsheet`, copied: "Copied.", copyLink: "Copy link", level: "Level",
    levels: { auto: "automatic", tensor: "matrices", scalar: "numbers" }, error: "Error", warning: "Warning", tip: "Tip",
    computed: names => `Computed ${names}.`, loading: "Loading the program…", failed: "The program could not be loaded",
    trap: "The program ended early, as it does without memory:", slow: "Computing takes longer than usual; change an input to stop it.",
    more: "Some entries are not shown; copying copies all.", sliceOf: (name, index) => `${name}[${index}]`,
    PASS: "PASS", FAIL: "FAIL", INCONCLUSIVE: "INCONCLUSIVE",
    passed: names => `${names}: the gradients agree with numerical differentiation.`,
    didNotPass: names => `${names}: the gradients differ from numerical differentiation.`,
    undecided: names => `${names}: numerical differentiation cannot decide here.`,
    gradient: "Gradient", verdict: "Verdict", entries: "Entries", worst: "Worst entry", analytic: "Computed", numeric: "Numerical",
    allowed: "Allowed difference", report: "Report of the program",
    descent: "Gradient descent", learningRate: "Learning rate", step: "One step", tenSteps: "10 steps", loss: "L",
    lossOf: "L is the loss.", lossOfSum: "L is Σ y∘dout.", lossNow: (step, value) => `After ${step} steps, L = ${value}.`,
    history: "L after each step", change: "Change", rate: "The learning rate must be a number.", noGradient: "No input has a gradient here.",
    zoomIn: "Zoom in", zoomOut: "Zoom out", fit: "Fit", start: "Start", back: "Back", next: "Next", play: "Play", pause: "Pause",
    graphStep: "Step through the graph", graphRegion: "Graph; scroll to move, Tab reaches the values, arrow keys go from value to value",
    graphHint: "Drag or scroll to move, Ctrl and the wheel to zoom. Point at a line, or move to it with Tab and the arrow keys, for all digits.",
    nothingYet: "Nothing is computed yet.", given: values => `Forward: ${values} are given.`,
    forward: (sign, operands, result) => `Forward: ${sign} of ${operands} gives ${result}.`, and: " and ",
    upstreamIs: values => `Backward: the upstream gradient is ${values}.`,
    summed: (terms, result) => `Backward: the gradients of all uses are summed: ${terms} = ${result}`,
    backward: (label, lines) => `Backward: ${label}: ${lines}`, timesLocal: (up, local, result) => `${up} × local derivative ${local} = ${result}`,
    complete: "The computation is complete. Start, Next and the slider step through it.", largeMatrix: "a large matrix",
    totals: texts => `Backward: the gradients of all uses of an operand are summed: ${texts}`,
    stepOf: (step, count) => `${step} of ${count}`, leftOut: count => `${count} more entries`, elsewhere: "In other libraries:",
  },
  ja: {
    layer: "層", example: "例", language: "言語", inputs: "入力", results: "結果", graph: "計算グラフ",
    steps: "途中式", command: "コマンド", settings: "設定", upstream: "上流の勾配 ∂L/∂y。省略時はすべて 1",
    upstreamLoss: "損失に対する上流の勾配。省略時は 1", precision: "精度", byDefault: "既定値",
    use: "指定", useOf: name => `${name} を指定する`, shape: "形状", shapeOf: name => `${name} の形状`, asText: "テキスト", asTextOf: name => `${name} をテキストで編集`,
    addRow: "+ 行", removeRow: "− 行", addColumn: "+ 列", removeColumn: "− 列",
    addRowTo: name => `${name} に行を追加`, removeRowOf: name => `${name} の最後の行を削除`,
    addColumnTo: name => `${name} に列を追加`, removeColumnOf: name => `${name} の最後の列を削除`,
    noEntries: "要素なし", ragged: "すべての行を同じ長さにしてください。", badShape: "2×3 のように、8 軸以下の形状を入力してください。",
    allDigits: "全桁表示", check: "勾配を検証", checking: "検証中…",
    copy: "コピー", copyOf: name => `${name} を表計算用にコピー`, copied: "コピーしました。", copyLink: "リンクをコピー", level: "粒度",
    levels: { auto: "自動", tensor: "行列単位", scalar: "数値単位" }, error: "エラー", warning: "警告", tip: "ヒント",
    computed: names => `${names} を計算しました。`, loading: "プログラムを読み込んでいます…", failed: "プログラムを読み込めませんでした",
    trap: "プログラムが途中で終了しました（メモリ不足など）：", slow: "計算に時間がかかっています。入力を変更すると中断します。",
    more: "一部の要素は表示していません。コピーするとすべて含まれます。", sliceOf: (name, index) => `${name}[${index}]`,
    PASS: "合格", FAIL: "不合格", INCONCLUSIVE: "判定不能",
    passed: names => `${names}：勾配は数値微分と一致しました。`,
    didNotPass: names => `${names}：勾配が数値微分と一致しません。`,
    undecided: names => `${names}：この点では数値微分で判定できません。`,
    gradient: "勾配", verdict: "判定", entries: "要素数", worst: "最大誤差の位置", analytic: "計算値", numeric: "数値微分",
    allowed: "許容誤差", report: "プログラムの報告",
    descent: "勾配降下法", learningRate: "学習率", step: "1 ステップ進める", tenSteps: "10 ステップ", loss: "L",
    lossOf: "L は損失です。", lossOfSum: "L は Σ y∘dout です。", lossNow: (step, value) => `${step} ステップ後の L は ${value} です。`,
    history: "各ステップ後の L", change: "変化", rate: "学習率には数値を入力してください。", noGradient: "勾配を持つ入力がありません。",
    zoomIn: "拡大", zoomOut: "縮小", fit: "全体", start: "最初", back: "戻る", next: "次へ", play: "再生", pause: "一時停止",
    graphStep: "計算の段階", graphRegion: "計算グラフ。スクロールで移動、Tab キーで値に移り、矢印キーで値の間を移動します",
    graphHint: "ドラッグまたはスクロールで移動、Ctrl＋ホイールで拡大・縮小。線を指すか、Tab と矢印キーで選ぶと全桁を表示します。",
    nothingYet: "まだ何も計算していません。", given: values => `順伝播：${values} が与えられています。`,
    forward: (sign, operands, result) => `順伝播：${operands} に ${sign} を適用して ${result}。`, and: " と ",
    upstreamIs: values => `逆伝播：上流の勾配は ${values}。`,
    summed: (terms, result) => `逆伝播：すべての使用箇所からの勾配を足し合わせます：${terms} = ${result}`,
    backward: (label, lines) => `逆伝播：${label}：${lines}`, timesLocal: (up, local, result) => `${up} × 局所微分 ${local} = ${result}`,
    complete: "計算は完了しています。「最初」「次へ」やスライダーで順に確認できます。", largeMatrix: "大きな行列",
    totals: texts => `逆伝播：オペランドのすべての使用箇所からの勾配を足し合わせます：${texts}`,
    stepOf: (step, count) => `${step} / ${count}`, leftOut: count => `ほか ${count} 要素`, elsewhere: "他のライブラリでは：",
  },
};

let language = "en";

/** Chooses the language of the page. */
export function setLanguage(name) {
  language = name in WORDS ? name : "en";
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = WORDS[language][element.dataset.word];
}

export const currentLanguage = () => language;

/** Returns a word, or a sentence with its parts filled in. */
export const say = (key, ...parts) => {
  const word = WORDS[language][key];
  return typeof word === "function" ? word(...parts) : word;
};
