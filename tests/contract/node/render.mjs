// Reads a JSON list of LaTeX from standard input; writes what KaTeX refuses in each, or null, as a JSON list.
import { readFileSync } from "node:fs";
import katex from "katex";

// What LaTeX would refuse is refused, but for letters that the fonts of KaTeX lack: browsers take another font.
const strict = (code) => (code === "unknownSymbol" ? "ignore" : "error");

const verdict = (latex) => {
  try {
    katex.renderToString(latex, { displayMode: true, throwOnError: true, strict });
    return null;
  } catch (error) {
    return error.message;
  }
};

console.warn = () => {};
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(verdict)));
