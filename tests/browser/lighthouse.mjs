// Lighthouse on pages of a panel: node lighthouse.mjs CHROMIUM < {"pages": [{"url", "cookie"}]}
// Prints a list of {"url", "scores": {category: 0…100}, "failed": [audit]}.
import { text } from "node:stream/consumers";
import { launch } from "chrome-launcher";
import lighthouse from "lighthouse";

const { pages } = JSON.parse(await text(process.stdin));
const chrome = await launch({
  chromePath: process.argv[2],
  chromeFlags: ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"],
  logLevel: "silent",
});

const look = async ({ url, cookie }) => {
  const { lhr } = await lighthouse(url, {
    port: chrome.port,
    output: "json",
    logLevel: "silent",
    extraHeaders: cookie ? { Cookie: cookie } : {},
    onlyCategories: ["performance", "accessibility", "best-practices", "seo"],
  });
  const categories = Object.entries(lhr.categories);
  const scores = categories.map(([name, { score }]) => [name, Math.round((score ?? 0) * 100)]);
  const failed = categories
    .flatMap(([, { auditRefs }]) => auditRefs.filter(({ weight }) => weight > 0))
    .map(({ id }) => lhr.audits[id])
    .filter(({ score }) => score !== null && score < 0.9)
    .map(({ id, displayValue }) => `${id} ${displayValue ?? ""}`.trim());
  return { url, scores: Object.fromEntries(scores), failed };
};

const found = [];
for (const page of pages) found.push(await look(page));
console.log(JSON.stringify(found));
await chrome.kill();
