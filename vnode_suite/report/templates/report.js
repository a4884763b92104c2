(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("scripted");

  // Open what hides the place that a link leads to.
  const reveal = () => {
    let id = "";
    try { id = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const target = id && document.getElementById(id);
    if (!target) return;
    for (let node = target; node; node = node.parentElement) {
      if (node.tagName === "DETAILS") node.open = true;
      if (node.hidden) node.hidden = false;
    }
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  // The language of the document follows the one that is shown.
  for (const radio of document.querySelectorAll("input.language")) {
    radio.addEventListener("change", () => { root.lang = radio.value; });
  }

  // What is collapsed on the screen is not hidden on paper where it tells of trouble.
  addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll(".trouble details")) each.open = true;
  });

  const search = document.querySelector("#find-clause");
  const buttons = [...document.querySelectorAll(".filter button[data-status]")];
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const pressed = buttons.filter((b) => b.getAttribute("aria-pressed") === "true").map((b) => b.dataset.status);
    for (const clause of document.querySelectorAll("article.clause")) {
      const statuses = clause.dataset.statuses.split(" ");
      const text = clause.textContent.toLowerCase();
      const wanted = !pressed.length || pressed.some((status) => statuses.includes(status));
      clause.hidden = !(wanted && words.every((word) => text.includes(word)));
    }
    for (const chapter of document.querySelectorAll("section.chapter")) {
      chapter.hidden = !chapter.querySelector("article.clause:not([hidden])");
    }
  };
  search?.addEventListener("input", apply);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      apply();
    });
  }
})();
