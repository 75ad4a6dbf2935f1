{
  // Whether the eye meets an element: not folded away, not hidden, not only for screen readers.
  isSeen(element) {
    const options = { contentVisibilityAuto: true, opacityProperty: true, visibilityProperty: true };
    if (!element.checkVisibility(options)) return false;
    const box = element.getBoundingClientRect();
    const clipped = element.closest("caption") && getComputedStyle(element.closest("caption"));
    return !(clipped && clipped.clipPath !== "none") && box.width + box.height > 0;
  },

  // Every piece of text that is seen, with its element.
  texts() {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
      const text = walker.currentNode.data.trim();
      const element = walker.currentNode.parentElement;
      if (text && this.isSeen(element)) found.push({ text, element });
    }
    return found;
  },

  seenText() {
    return this.texts().map((one) => one.text).join("\n");
  },

  // How far the page is wider than the window, and what sticks out.
  overflow() {
    const root = document.documentElement;
    const scrolls = (element) => element.closest(".scroll, caption");
    const out = [...document.body.querySelectorAll("*")]
      .filter((one) => this.isSeen(one) && !scrolls(one))
      .filter((one) => one.getBoundingClientRect().right > root.clientWidth + 0.5)
      .map((one) => `${one.tagName} ${one.textContent.slice(0, 40)}`);
    return { excess: root.scrollWidth - root.clientWidth, out: out.slice(0, 5) };
  },

  // Tables of which a part is to the right of what is shown of them.
  scrolled() {
    return [...document.querySelectorAll(".scroll")]
      .filter((one) => this.isSeen(one) && one.scrollWidth > one.clientWidth + 1)
      .map((one) => `${one.getAttribute("aria-label")}: ${one.scrollWidth - one.clientWidth}`);
  },

  parse(colour) {
    const [r, g, b, a] = colour.match(/[\d.]+/g).map(Number);
    return { r, g, b, a: a === undefined ? 1 : a };
  },

  over(top, below) {
    const mix = (one, two) => one * top.a + two * (1 - top.a);
    return { r: mix(top.r, below.r), g: mix(top.g, below.g), b: mix(top.b, below.b), a: 1 };
  },

  // The colour behind an element.
  ground(element) {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      const layer = this.parse(getComputedStyle(one).backgroundColor);
      layers.push(layer);
      if (layer.a === 1) break;
    }
    const white = { r: 255, g: 255, b: 255, a: 1 };
    return layers.reduceRight((below, top) => this.over(top, below), white);
  },

  luminance({ r, g, b }) {
    const linear = (value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  },

  // WCAG 2.2: from 1 to 21.
  ratio(colour, element) {
    const ground = this.ground(element);
    const [one, two] = [this.over(this.parse(colour), ground), ground].map(this.luminance);
    return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  },

  // The least contrast of text, and how many texts that is said of.
  textContrast() {
    const texts = this.texts();
    let worst = { ratio: 21, text: "" };
    for (const { text, element } of texts) {
      const style = getComputedStyle(element);
      const ratio = this.ratio(element.closest("svg") ? style.fill : style.color, element);
      if (ratio < worst.ratio) worst = { ratio, text };
    }
    return { ...worst, count: texts.length };
  },

  // The least contrast of what is drawn and carries meaning, for each kind of mark.
  drawnContrast() {
    const kinds = {};
    const marks = ".standing, .gone, .gap, .found, .missing, .passed, .failed, .line, .mark circle";
    for (const mark of document.querySelectorAll(marks)) {
      if (!this.isSeen(mark.closest("svg"))) continue;
      const style = getComputedStyle(mark);
      const colour = style.stroke === "none" ? style.fill : style.stroke;
      const kind = mark.getAttribute("class") || mark.tagName;
      const ratio = this.ratio(colour, mark.closest("svg"));
      kinds[kind] = Math.min(kinds[kind] || 21, ratio);
    }
    return kinds;
  },

  // Where the first element of a selector stands, and how loud it is.
  place(selector, text) {
    const all = [...document.querySelectorAll(selector)];
    const element = all.find((one) => !text || one.textContent.includes(text));
    if (!element) return null;
    const box = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    return {
      tag: element.tagName,
      top: Math.round(box.top),
      bottom: Math.round(box.bottom),
      width: Math.round(box.width),
      loud: [style.fontSize, style.fontWeight, style.color].join(" "),
      border: style.borderLeftColor.match(/\d+/g).map(Number),
      seen: this.isSeen(element),
      text: element.textContent,
    };
  },

  // How bright it is behind the first element of a selector, from 0 to 1.
  groundOf(selector) {
    return this.luminance(this.ground(document.querySelector(selector)));
  },

  count(selector) {
    return document.querySelectorAll(selector).length;
  },

  unfold() {
    const all = [...document.querySelectorAll("details")];
    all.forEach((one) => { one.open = true; });
    return all.length;
  },

  // Ids that are there twice, and references that lead nowhere.
  badIds() {
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    const twice = ids.filter((id, at) => ids.indexOf(id) !== at);
    const named = [...document.querySelectorAll("[aria-labelledby]")]
      .flatMap((one) => one.getAttribute("aria-labelledby").split(" "));
    const linked = [...document.querySelectorAll("a[href]")]
      .map((one) => one.getAttribute("href").replace(/^#/, ""));
    return [...twice, ...[...named, ...linked].filter((id) => !ids.includes(id))];
  },

  // Text of the page that is nowhere in what is seen: what paper would lose.
  lost(allowed) {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      const text = walker.currentNode.data.trim();
      const isAllowed = element.closest(allowed) || element.closest("caption, title, desc");
      if (text && !isAllowed && !this.isSeen(element)) found.push(text);
    }
    return found.slice(0, 5);
  },
}
