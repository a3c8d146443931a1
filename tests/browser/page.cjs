// Opens a page of `rjcore report` in Debian's Chromium, at three sizes, light and dark, and without script.
//   node page.cjs PLAYWRIGHT-CORE PAGE DIRECTORY
// Writes what was seen as JSON to standard output, and a picture of each into the directory. tests/jvms/report.rs reads it.
"use strict";
const [, , playwright, page, directory] = process.argv;
const { chromium } = require(playwright);
const url = `file://${page}`;
const SIZES = { phone: [390, 844], laptop: [1280, 800], wide: [1920, 1080] };
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

const about = () => {
  const box = document.querySelector("#heap-chart g[tabindex='0']");
  return {
    trail: [...document.querySelectorAll("#heap-chart .trail button")].map((b) => b.textContent),
    boxes: document.querySelectorAll("#heap-chart g[role='button']").length,
    at: box && box.getAttribute("aria-label"),
    focused: document.activeElement === box,
    said: document.querySelector("#heap-chart .said").textContent,
  };
};
// Contrast of a text's colour and what is behind it (WCAG 2): of every sort of text on the page, the least.
const contrast = () => {
  const channels = (text) => text.match(/[\d.]+/g).map(Number);
  const light = (text) => {
    const [r, g, b] = channels(text).slice(0, 3).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const back = getComputedStyle(at).backgroundColor;
      if (channels(back)[3] !== 0) return back;
    }
    return "rgb(255, 255, 255)";
  };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((m, n) => n - m); return (x + 0.05) / (y + 0.05); };
  let least = { ratio: Infinity };
  const take = (text, back, what) => { const r = ratio(text, back); if (r < least.ratio) least = { ratio: r, what, text, back }; };
  const plain = "p, td, th, caption, h1, h2, h3, a:not(.skip), button, summary, pre, code, li";
  for (const e of document.querySelectorAll(plain)) take(getComputedStyle(e).color, behind(e), e.tagName);
  for (const e of document.querySelectorAll("svg text")) {
    take(getComputedStyle(e).fill, getComputedStyle(e.parentElement.querySelector("rect")).fill, "svg text");
  }
  return least;
};

(async () => {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
  const seen = { version: browser.version(), messages: [], requests: [], sizes: {}, contrast: {} };
  const open = async (options) => {
    const context = await browser.newContext(options);
    const tab = await context.newPage();
    tab.on("console", (m) => seen.messages.push(m.text()));
    tab.on("pageerror", (e) => seen.messages.push(String(e)));
    tab.on("request", (r) => { if (r.url() !== url) seen.requests.push(r.url()); });
    await tab.goto(url);
    return tab;
  };
  for (const [name, [width, height]] of Object.entries(SIZES)) {
    for (const colorScheme of ["light", "dark"]) {
      const tab = await open({ viewport: { width, height }, colorScheme });
      await tab.waitForSelector("#heap-chart .trail button");
      seen.sizes[name] = await tab.evaluate(() => ({
        // Wider than the window, a page has to be moved sideways to be read.
        wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        charts: [...document.querySelectorAll(".chart svg")].map((s) => s.getBoundingClientRect().width),
      }));
      seen.contrast[colorScheme] = await tab.evaluate(contrast);
      await tab.screenshot({ path: `${directory}/${name}-${colorScheme}.png` });
      await tab.screenshot({ path: `${directory}/${name}-${colorScheme}-all.png`, fullPage: true });
      await tab.context().close();
    }
  }

  const tab = await open({ viewport: { width: 1280, height: 800 } });
  await tab.waitForSelector("#heap-chart .trail button");
  seen.start = await tab.evaluate(about);
  // By mouse: into the first box that opens, and back by the trail.
  await tab.locator("#heap-chart g.opens[role='button'] > rect").first().click({ position: { x: 5, y: 5 } });
  seen.clicked = await tab.evaluate(about);
  await tab.screenshot({ path: `${directory}/clicked.png` });
  await tab.locator("#heap-chart .trail button").first().click();
  seen.back = await tab.evaluate(about);
  // By keys alone.
  await tab.locator("#heap-chart .trail button").last().focus();
  await tab.keyboard.press("Tab");
  seen.tabbed = await tab.evaluate(about);
  await tab.keyboard.press("Home");
  seen.first = await tab.evaluate(about);
  await tab.keyboard.press("ArrowRight");
  seen.moved = await tab.evaluate(about);
  // To one that opens: garbage does not.
  const toOpen = async () => {
    for (let i = 0; i < 50 && (await tab.evaluate(about)).at.endsWith("nothing to open"); i += 1) await tab.keyboard.press("ArrowRight");
  };
  await tab.keyboard.press("Home");
  await toOpen();
  await tab.keyboard.press("Enter");
  seen.entered = await tab.evaluate(about);
  await tab.screenshot({ path: `${directory}/entered.png` });
  await tab.keyboard.press("Escape");
  seen.left = await tab.evaluate(about);
  // The icicle.
  await tab.locator("#heap-chart button[data-kind='icicle']").click();
  seen.icicle = await tab.evaluate(about);
  await tab.locator("#heap-chart g[tabindex='0']").focus();
  await tab.keyboard.press("Home");
  await tab.keyboard.press("ArrowDown");
  await toOpen();
  seen.down = await tab.evaluate(about);
  await tab.keyboard.press("Enter");
  seen.below = await tab.evaluate(about);
  await tab.screenshot({ path: `${directory}/icicle.png` });
  await tab.keyboard.press("Backspace");
  seen.above = await tab.evaluate(about);
  const flame = tab.locator("#threads-chart");
  seen.flame = (await flame.count()) ? await flame.locator("g[role='button']").count() : null;
  if (seen.flame) { await flame.scrollIntoViewIfNeeded(); await flame.screenshot({ path: `${directory}/flame.png` }); }
  await tab.context().close();

  // Without script all that matters is there.
  const still = await open({ viewport: { width: 390, height: 844 }, javaScriptEnabled: false });
  seen.still = {
    text: await still.locator("main").innerText(),
    svg: await still.locator("#heap-chart svg.narrow rect").count(),
    shown: await still.locator("#heap-chart svg.narrow").isVisible(),
  };
  await still.screenshot({ path: `${directory}/still.png` });
  await still.pdf({ path: `${directory}/printed.pdf`, format: "A4" }).catch((e) => seen.messages.push(`printing: ${e}`));
  await browser.close();
  process.stdout.write(JSON.stringify(seen));
})().catch((e) => { process.stderr.write(`${e.stack}\n`); process.exit(1); });
