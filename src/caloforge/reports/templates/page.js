for (const head of document.querySelectorAll("table.sortable th")) head.addEventListener("click", () => {
  const table = head.closest("table"), body = table.tBodies[0], n = head.cellIndex;
  const down = head.getAttribute("aria-sort") === "ascending";
  const key = row => { const cell = row.cells[n], text = cell.dataset.order ?? cell.textContent.trim();
    return text === "" || isNaN(text) ? text : Number(text); };
  const order = (a, b) => a === "" ? 1 : b === "" ? -1
    : (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(b)) * (down ? -1 : 1);
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...[...body.rows].sort((a, b) => order(key(a), key(b))));
});
