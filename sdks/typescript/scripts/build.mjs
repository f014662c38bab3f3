// Compiles the package into dist/: CommonJS by tsc, and a module in front of it
// that hands out the same objects, so that a program that loads both has one
// Recorder and one AnswerError. With it come the modules that verify receipts,
// from where the page that verifies in a browser has them.
import { execFileSync } from "node:child_process";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = dirname(dirname(fileURLToPath(import.meta.url)));
const assets = join(folder, "..", "..", "internal", "dashboard", "assets");
const require = createRequire(import.meta.url);

export function build() {
  for (const name of ["ed25519", "json", "keys", "log", "receipt"]) {
    cpSync(join(assets, `${name}.js`), join(folder, "src", "evidence", `${name}.js`));
  }
  rmSync(join(folder, "dist"), { recursive: true, force: true });
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
  execFileSync(process.execPath, [tsc, "--project", folder], { stdio: "inherit" });
  const names = Object.keys(require(join(folder, "dist", "index.js"))).sort();
  writeFileSync(join(folder, "dist", "index.mjs"), `import sdk from "./index.js";\n\nexport const { ${names.join(", ")} } = sdk;\n`);
  writeFileSync(join(folder, "dist", "index.d.mts"), 'export * from "./index.js";\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) build();
