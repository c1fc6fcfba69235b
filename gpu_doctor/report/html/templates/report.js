"use strict";
for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    let word = "Copied";
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      word = "Selected";
    }
    button.textContent = word;
    document.getElementById("said").textContent = word;
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}
const all = document.getElementById("all");
all.hidden = false;
all.addEventListener("click", () => {
  const open = all.getAttribute("aria-pressed") !== "true";
  for (const one of document.querySelectorAll("details")) one.open = open;
  all.setAttribute("aria-pressed", open);
});
const reveal = () => {
  let one = document.getElementById(location.hash.slice(1));
  for (; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
};
addEventListener("hashchange", reveal);
reveal();
