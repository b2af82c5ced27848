"""Walking through a page by Tab."""

from __future__ import annotations

from playwright.sync_api import Page

# Where Tab should stop, numbered in order. When a key is up, where it led is noted: by then the
# page has scrolled there.
_BEGIN = """() => {
  const stops = [...document.querySelectorAll(`a[href], button, input:not([type=hidden]), select,
      textarea, summary, [tabindex="0"]`)]
    .filter(element => !element.disabled && element.checkVisibility({visibilityProperty: true}))
    .filter(element => element.type !== "radio" || element.checked);
  const clamp = (value, limit) => Math.min(Math.max(value, 0), limit - 1);
  window.walked = [];
  document.addEventListener("keyup", () => {
    const element = document.activeElement, style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    const found = document.elementFromPoint(
      clamp(box.left + box.width / 2, innerWidth), clamp(box.top + box.height / 2, innerHeight));
    const isOnTop = found && (element.contains(found) || found.contains(element)
      || found.closest("label"));
    const name = element.outerHTML.slice(0, 100);
    const expected = stops[window.walked.length];
    window.walked.push([
      element !== expected && `Tab leads to ${name}, not to ${expected.outerHTML.slice(0, 100)}`,
      !(style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2)
        && `no ring around ${name}`,
      !(box.bottom > 0 && box.top < innerHeight && box.width > 0 && isOnTop) && `not seen: ${name}`,
    ].filter(Boolean));
  });
  document.activeElement.blur();
  return stops.length;
}"""


def faults(page: Page) -> list[str]:
    """Controls that Tab does not reach in their order, or that are not seen when it does."""
    count = page.evaluate(_BEGIN)
    for _ in range(count):
        page.keyboard.press("Tab")
    found: list[list[str]] = page.evaluate("window.walked")
    lost = [] if len(found) == count else [f"{len(found)} of {count} presses were noticed"]
    return [*lost, *(fault for stop in found for fault in stop)]
