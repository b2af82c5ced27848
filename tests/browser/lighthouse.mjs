// Lighthouse on pages of a panel: node lighthouse.mjs CHROMIUM < {"pages": [{"url", "cookie"}]}
// Prints a list of {"url", "scores": {category: 0…100}, "failed": [audit], "speed"}.
import { text } from "node:stream/consumers";
import { launch } from "chrome-launcher";
import lighthouse, { defaultConfig } from "lighthouse";

const phone = defaultConfig.settings.throttling;
const { pages } = JSON.parse(await text(process.stdin));
const chrome = await launch({
  chromePath: process.argv[2],
  chromeFlags: ["--headless", "--no-sandbox", "--disable-dev-shm-usage"],
  logLevel: "silent",
});

// Lighthouse makes a desktop as slow as a phone by a factor of 4. One that is busy is slow already:
// how fast it was for the page before says how much of the factor is left.
// https://github.com/GoogleChrome/lighthouse/blob/v12.8.2/docs/throttling.md#cpu-throttling
const DESKTOP = 1500;
let speed = DESKTOP;
const slowdown = () => Math.min(4, Math.max(1, (4 * speed) / DESKTOP));

// Pages are whole when they are loaded, and ask for nothing more: there is no need to wait for it.
// The picture of the whole page is for reports.
const brisk = {
  pauseAfterFcpMs: 0,
  pauseAfterLoadMs: 0,
  networkQuietThresholdMs: 100,
  cpuQuietThresholdMs: 100,
  disableFullPageScreenshot: true,
};

const look = async ({ url, cookie }) => {
  const { lhr } = await lighthouse(url, {
    port: chrome.port,
    output: "json",
    logLevel: "silent",
    extraHeaders: cookie ? { Cookie: cookie } : {},
    throttling: { ...phone, cpuSlowdownMultiplier: slowdown() },
    ...brisk,
    onlyCategories: ["performance", "accessibility", "best-practices", "seo"],
  });
  speed = lhr.environment.benchmarkIndex;
  const categories = Object.entries(lhr.categories);
  const scores = categories.map(([name, { score }]) => [name, Math.round((score ?? 0) * 100)]);
  const failed = categories
    .flatMap(([, { auditRefs }]) => auditRefs.filter(({ weight }) => weight > 0))
    .map(({ id }) => lhr.audits[id])
    .filter(({ score }) => score !== null && score < 0.9)
    .map(({ id, displayValue }) => `${id} ${displayValue ?? ""}`.trim());
  return { url, scores: Object.fromEntries(scores), failed, speed };
};

const found = [];
for (const page of pages) found.push(await look(page));
console.log(JSON.stringify(found));
await chrome.kill();
