// Builds every package that is published, as tarballs in packages/: prova-sdk,
// and for each platform prova-sdk-<platform> with the program prova-rollout.
//
//   node scripts/pack.mjs                         all platforms
//   node scripts/pack.mjs --platform linux-x64    prova-sdk and one platform's
//   node scripts/pack.mjs --local                 prova-sdk and this platform's, built quickly, to try it
//   node scripts/pack.mjs --version 1.2.3 --out DIR
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { build } from "./build.mjs";

const folder = dirname(dirname(fileURLToPath(import.meta.url)));
const root = join(folder, "..", "..");
const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));

// The names are those of node: process.platform and process.arch.
const platforms = { linux: "linux", darwin: "darwin", win32: "windows" };
const machines = { x64: "amd64", arm64: "arm64" };
const all = Object.keys(platforms).flatMap((os) => Object.keys(machines).map((cpu) => `${os}-${cpu}`));

const { values: options } = parseArgs({
  options: {
    platform: { type: "string", multiple: true, default: all },
    local: { type: "boolean", default: false },
    version: { type: "string", default: manifest.version },
    out: { type: "string", default: join(folder, "packages") },
  },
});
const out = resolve(options.out);
const chosen = options.local ? [`${process.platform}-${process.arch}`] : options.platform;
const unknown = chosen.filter((p) => !all.includes(p));
if (unknown.length > 0) {
  console.error(`no such platform: ${unknown.join(", ")}; there are ${all.join(", ")}`);
  process.exit(64);
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
build();
packSDK();
for (const platform of chosen) packProgram(platform);

function packSDK() {
  const stage = join(out, "prova-sdk");
  cpSync(join(folder, "dist"), join(stage, "dist"), { recursive: true });
  cpSync(join(folder, "README.md"), join(stage, "README.md"));
  const { devDependencies, scripts, ...published } = manifest;
  pack(stage, {
    ...published,
    version: options.version,
    provaPlatforms: all,
    // Of the same version: the program and its launcher belong together.
    optionalDependencies: Object.fromEntries(all.map((platform) => [`prova-sdk-${platform}`, options.version])),
  });
}

function packProgram(platform) {
  const [os, cpu] = platform.split("-");
  const stage = join(out, `prova-sdk-${platform}`);
  const program = join(stage, "bin", os === "win32" ? "prova-rollout.exe" : "prova-rollout");
  mkdirSync(dirname(program), { recursive: true });
  // Without machine paths the same source gives the same bytes; it compiles everything anew.
  const reproducible = options.local ? [] : ["-trimpath"];
  execFileSync("go", ["build", ...reproducible, "-ldflags=-s -w", "-o", program, "./cmd/prova-rollout"], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, CGO_ENABLED: "0", GOOS: platforms[os], GOARCH: machines[cpu] },
  });
  chmodSync(program, 0o755);
  writeFileSync(join(stage, "README.md"), `The program prova-rollout for ${platform}. Install prova-sdk, which brings it.\n`);
  pack(stage, {
    name: `prova-sdk-${platform}`,
    version: options.version,
    description: `The program prova-rollout of Prova for ${platform}.`,
    license: manifest.license,
    repository: manifest.repository,
    os: [os],
    cpu: [cpu],
    files: ["bin"],
  });
}

function pack(stage, described) {
  cpSync(join(root, "LICENSE"), join(stage, "LICENSE"));
  writeFileSync(join(stage, "package.json"), JSON.stringify(described, undefined, 2) + "\n");
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  execFileSync(npm, ["pack", "--silent", "--pack-destination", out], { cwd: stage, stdio: "inherit", shell: process.platform === "win32" });
  rmSync(stage, { recursive: true });
}
