#!/usr/bin/env bash
# Runs the applications of docs/recipes.md with the real packages, which are installed in test/recipes when they are not there.
set -euo pipefail
cd "$(dirname "$0")/.."
recipes=test/recipes
if ! cmp -s "$recipes/package-lock.json" "$recipes/node_modules/.installed"; then
  # No package of them needs a script to run; npm warns of those that ask for a newer Node, and all were tried.
  (cd "$recipes" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  cp "$recipes/package-lock.json" "$recipes/node_modules/.installed"
fi
# As `npm link` would do it; npm itself would install our own packages there once more.
ln -sfn ../../.. "$recipes/node_modules/edgicorn"
node --import tsx --test --test-concurrency=1 "$recipes"/*.test.ts
