#!/usr/bin/env node
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { dirname, join } from "node:path";

// Runs the program prova-rollout of this platform's package, with the same
// arguments, streams, signals and exit code.

const configuration = 78; // the exit code of a bad configuration

function program(): string | undefined {
  try {
    const folder = dirname(require.resolve(`prova-sdk-${process.platform}-${process.arch}/package.json`));
    return join(folder, "bin", process.platform === "win32" ? "prova-rollout.exe" : "prova-rollout");
  } catch {
    return undefined;
  }
}

function missing(): string {
  const { version, provaPlatforms = [] } = require("../package.json") as { version: string; provaPlatforms?: string[] };
  const platform = `${process.platform}-${process.arch}`;
  const itself = "or build it with Go: go install github.com/cobound/prova/cmd/prova-rollout@latest";
  if (!provaPlatforms.includes(platform)) {
    return `prova-rollout: there is no package for ${platform}, only for ${provaPlatforms.join(", ")}; run it there, ${itself}`;
  }
  return `prova-rollout: the package prova-sdk-${platform} with the program is not installed; it is an optional dependency, which an
installation with --omit=optional, or with a node_modules folder from another platform, leaves out.
Install it: npm install prova-sdk-${platform}@${version}
${itself}`;
}

function run(path: string): void {
  const child = spawn(path, process.argv.slice(2), { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) {
    process.on(signal, () => {
      // What is typed on a terminal reaches the program by itself.
      const typed = signal !== "SIGTERM" && process.stdin.isTTY;
      if (!typed) child.kill(signal);
    });
  }
  child.on("error", (err) => {
    console.error(`prova-rollout: the program cannot be started: ${err.message}`);
    process.exitCode = configuration;
  });
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (signal ? constants.signals[signal] : 0);
  });
}

const path = program();
if (path) {
  run(path);
} else {
  console.error(missing());
  process.exitCode = configuration;
}
