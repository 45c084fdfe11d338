(() => {
  const every = 5000;
  const pause = document.getElementById("pause");
  const stale = document.getElementById("stale");
  let paused = false;
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    if (!paused) refresh();
  });
  const selects = () => {
    const selection = getSelection();
    return selection && !selection.isCollapsed;
  };
  async function refresh() {
    if (paused || document.hidden || selects()) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const main = next.querySelector("main");
      if (!answer.ok || !main) throw new Error();
      if (paused) return;
      const old = document.querySelector("main");
      const focused = document.activeElement && document.activeElement.id;
      const scrolled = [...old.querySelectorAll(".scroll")].map((box) => [box.id, box.scrollLeft]);
      old.replaceWith(main);
      for (const [id, left] of scrolled) {
        const box = document.getElementById(id);
        if (box) box.scrollLeft = left;
      }
      const again = focused && document.getElementById(focused);
      if (again && again !== document.activeElement) again.focus({ preventScroll: true });
      document.title = next.title;
      stale.textContent = "";
    } catch {
      if (!stale.textContent) stale.textContent = "The program does not answer. This is how it was before.";
    }
  }
  setInterval(refresh, every);
})();
