"use strict";
// Without this script the page shows all words by usage; with it they can be searched, sorted and filtered.
(() => {
  const byId = (id) => document.getElementById(id);
  const lists = [byId("grid"), byId("rows")].filter(Boolean);
  const search = byId("search"), sort = byId("sort"), withText = byId("texts"), count = byId("count");
  const items = lists.flatMap((list) => Array.from(list.children, (element) => ({
    list, element,
    word: Number(element.dataset.word),
    usage: Number(element.dataset.usage),
    radius: element.dataset.radius === "" ? Infinity : Number(element.dataset.radius),
    score: element.dataset.score === "" ? -Infinity : Number(element.dataset.score),
    path: element.dataset.path,
    text: [element.textContent, ...Array.from(element.querySelectorAll("figure"), (f) => f.title)].join(" ").toLowerCase(),
  })));
  const orders = {
    usage: (a, b) => b.usage - a.usage || a.word - b.word,
    word: (a, b) => a.word - b.word,
    radius: (a, b) => a.radius - b.radius || a.word - b.word,
    score: (a, b) => b.score - a.score || a.word - b.word,
  };
  // "3/11" is a place in the tree and all below it; anything else may stand anywhere in the card.
  const isPath = (term) => /^\d+(\/\d+)*\/?$/.test(term) && term.includes("/");
  const matches = (item, term) => {
    if (!isPath(term)) return item.text.includes(term);
    const prefix = term.endsWith("/") ? term : term + "/";
    return (item.path + "/").startsWith(prefix);
  };
  const filter = () => {
    const terms = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of items) {
      const isShown = terms.every((term) => matches(item, term)) && (!withText.checked || item.score > -Infinity);
      item.element.hidden = !isShown;
      shown += isShown ? 1 : 0;
    }
    count.textContent = `${shown.toLocaleString("en")} of ${items.length.toLocaleString("en")} words`;
  };
  const order = () => {
    for (const list of lists) {
      const own = items.filter((item) => item.list === list).sort(orders[sort.value]);
      list.append(...own.map((item) => item.element));
    }
  };
  search.addEventListener("input", filter);
  withText.addEventListener("change", filter);
  sort.addEventListener("change", order);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    if (event.key === "/" && !isTyping) { event.preventDefault(); search.focus(); }
    if (event.key === "Escape" && document.activeElement === search) { search.value = ""; filter(); }
  });
  for (const node of document.querySelectorAll("rect[data-path]")) {
    node.style.cursor = "pointer";
    node.addEventListener("click", () => {
      search.value = node.dataset.path + "/";
      filter();
      byId("words").scrollIntoView();
    });
  }
  byId("controls").hidden = false;
  filter();
})();
