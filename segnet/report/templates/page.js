"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const viewer = document.getElementById("viewer");
  let shown = null;

  // Tables: a click on a heading sorts by its column.
  for (const button of all("th button")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const table = head.closest("table");
      const column = [...head.parentNode.children].indexOf(head);
      const up = head.getAttribute("aria-sort") === "descending";
      for (const other of all("th[aria-sort]", table)) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.children[column].textContent.trim();
      const rows = all("tbody tr", table);
      rows.sort((one, two) => {
        const [x, y] = [value(one), value(two)];
        const [a, b] = [parseFloat(x), parseFloat(y)];
        if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b) || x.localeCompare(y) * (up ? 1 : -1);
        return (a - b) * (up ? 1 : -1);
      });
      for (const row of rows) row.parentNode.append(row);
    });
  }

  // The gallery: order, layer, and how far it covers the picture.
  const gallery = document.getElementById("gallery");
  const order = () => {
    const select = document.getElementById("order");
    const [key, down] = [select.value, select.selectedOptions[0].dataset.down === "1"];
    const cards = all(".card", gallery);
    const value = (card) => JSON.parse(card.dataset.scores)[key];
    cards.sort((one, two) => {
      const [a, b] = [value(one), value(two)];
      if (a == null || b == null) return (a == null) - (b == null);
      return down ? b - a : a - b;
    });
    for (const card of cards) {
      const score = value(card);
      card.querySelector(".score").textContent = score == null ? "-" : score.toFixed(3);
      gallery.append(card);
    }
  };
  const layer = () => {
    const name = document.getElementById("layer").value;
    for (const image of all("img.layer")) image.classList.toggle("on", image.dataset.layer === name);
  };
  const fade = () => {
    document.documentElement.style.setProperty("--fade", document.getElementById("fade").value / 100);
  };
  for (const [id, change, event] of [["order", order, "change"], ["layer", layer, "change"], ["fade", fade, "input"]]) {
    const control = document.getElementById(id);
    if (control) { control.addEventListener(event, change); change(); }
  }

  // Enlarged.
  const show = (card) => {
    shown = card;
    const stack = card.querySelector(".stack, .row").cloneNode(true);
    viewer.querySelector(".stack, .row").replaceWith(stack);
    const first = stack.querySelector("img");
    viewer.style.setProperty("--ratio", first.naturalWidth / Math.max(1, first.naturalHeight));
    document.getElementById("viewer-title").textContent = card.dataset.name;
    viewer.querySelector(".caption").textContent = card.dataset.text;
    if (!viewer.open) viewer.showModal();
  };
  const step = (by) => {
    const cards = all(".card", shown.parentNode);
    show(cards[(cards.indexOf(shown) + by + cards.length) % cards.length]);
  };
  for (const card of all(".card")) card.addEventListener("click", () => show(card));
  for (const button of all("[data-step]", viewer)) button.addEventListener("click", () => step(+button.dataset.step));
  viewer.querySelector("[data-close]").addEventListener("click", () => viewer.close());
  viewer.addEventListener("close", () => shown && shown.focus());
  document.addEventListener("keydown", (event) => {
    if (!viewer.open || event.target.matches("input, select")) return;
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else return;
    event.preventDefault();
  });
})();
