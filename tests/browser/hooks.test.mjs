// Claims about connecting Claude Code from the dashboard: with a home that is the user's own, and a Claude Code in
// it that says its version.
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { at, openPage, startMonitor } from "./support.mjs";

const SETTINGS =
  '{\n  "model": "opus",\n  "hooks": {\n    "Stop": []\n  }\n}\n';

/** A monitor in a home with Claude Code, and with these settings if any. */
async function startWithClaude(t, settings) {
  const home = mkdtempSync(join(tmpdir(), "monitor-"));
  const [bin, folder] = [join(home, ".local", "bin"), join(home, ".claude")];
  mkdirSync(bin, { recursive: true });
  mkdirSync(folder);
  writeFileSync(
    join(bin, "claude"),
    "#!/bin/sh\necho '2.1.240 (Claude Code)'\n",
  );
  chmodSync(join(bin, "claude"), 0o755);
  const file = join(folder, "settings.json");
  if (settings !== undefined) writeFileSync(file, settings);
  const monitor = await startMonitor(t, { home });
  return { monitor, file };
}

const setup = (page, state) =>
  at(page, "hook-setup", `[data-state="${state}"]`);

test("hooks are installed and uninstalled in the settings, each change shown before it is made", async (t) => {
  const { monitor, file } = await startWithClaude(t, SETTINGS);
  const page = await openPage(monitor, { hash: "#/settings" });
  await setup(page, "missing").waitFor();

  await at(page, "hooks-install").click();
  await at(page, "hooks-diff")
    .getByText(/^\+ +"SessionStart": \[$/)
    .waitFor();
  assert.equal(readFileSync(file, "utf8"), SETTINGS, "showing changes nothing");
  await at(page, "hooks-cancel").click();
  await at(page, "hooks-install").click();
  await at(page, "hooks-apply").click();
  await setup(page, "working").waitFor();
  const hooks = JSON.parse(readFileSync(file, "utf8")).hooks;
  assert.equal(Object.keys(hooks).length, 26);
  assert.match(hooks.Stop[0].hooks[0].command, /claude-mpm-hook/);
  assert.ok(
    existsSync(join(monitor.home, "monitor", "bin", "claude-mpm-hook")),
  );

  await at(page, "hooks-uninstall").click();
  await at(page, "hooks-diff")
    .getByText(/^- +"SessionStart": \[$/)
    .waitFor();
  await at(page, "hooks-apply").click();
  await setup(page, "missing").waitFor();
  assert.equal(readFileSync(file, "utf8"), SETTINGS, "every byte is back");
});

test("what would be changed otherwise than it was shown is not changed", async (t) => {
  const { monitor, file } = await startWithClaude(t, SETTINGS);
  const page = await openPage(monitor, {
    hash: "#/settings",
    mayLoseConnection: true,
  });
  await at(page, "hooks-install").click();
  const changed = SETTINGS.replace("opus", "sonnet");
  writeFileSync(file, changed);
  await at(page, "hooks-apply").click();
  await page.getByRole("alert").waitFor();
  assert.equal(readFileSync(file, "utf8"), changed);
  // The new difference is shown.
  await at(page, "hooks-diff").getByText("sonnet").waitFor();
  await at(page, "hooks-apply").click();
  await setup(page, "working").waitFor();
});

test("the first-run guide connects Claude Code", async (t) => {
  const { monitor, file } = await startWithClaude(t);
  const page = await openPage(monitor);
  await at(page, "hooks-install").click();
  await at(page, "hooks-apply").click();
  await setup(page, "working").waitFor();
  assert.equal(
    Object.keys(JSON.parse(readFileSync(file, "utf8")).hooks).length,
    26,
  );
});

test("settings that Claude Code cannot read are named with the way out", async (t) => {
  const { monitor, file } = await startWithClaude(t, "{ half");
  const page = await openPage(monitor, { hash: "#/settings" });
  await setup(page, "missing").waitFor();
  assert.match(
    await at(page, "hook-hindrance").innerText(),
    /settings\.json line 1.*correct the file/,
  );
  assert.equal(await at(page, "hooks-install").count(), 0);
  assert.equal(readFileSync(file, "utf8"), "{ half");
});

test("pages of others cannot change the settings", async (t) => {
  const { monitor, file } = await startWithClaude(t, SETTINGS);
  const { install } = await (await fetch(`${monitor.url}/api/hooks`)).json();
  const order = (headers, body) =>
    fetch(`${monitor.url}/api/hooks`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
  const refused = await order(
    { origin: "https://evil.example" },
    { action: "install", diff: install.diff },
  );
  assert.deepEqual(
    [refused.status, (await refused.json()).code],
    [403, "origin_not_allowed"],
  );
  const own = { origin: monitor.url };
  const stale = await order(own, { action: "install", diff: "another" });
  assert.deepEqual(
    [stale.status, (await stale.json()).code],
    [409, "settings_changed"],
  );
  const odd = await order(own, { action: "format" });
  assert.equal(odd.status, 400);
  assert.equal(readFileSync(file, "utf8"), SETTINGS);
});
