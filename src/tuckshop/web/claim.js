async function copy(from, button) {
  try {
    await navigator.clipboard.writeText(from.textContent);
  } catch {
    // Without TLS there is no clipboard to ask for: select the text and copy what is selected.
    const range = document.createRange();
    range.selectNodeContents(from);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    if (!document.execCommand("copy")) { say("Selected: copy it by hand."); return; }
  }
  say("Copied.");
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
  window.onbeforeunload = null;
}

function snippet(one, index) {
  const box = document.createElement("details");
  const title = document.createElement("summary");
  const text = document.createElement("pre");
  const button = document.createElement("button");
  box.open = index === 0;
  title.textContent = one.title;
  title.id = `snippet-${index}`;
  text.textContent = one.text;
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-describedby", title.id);
  button.onclick = () => copy(text, button);
  box.append(title, text, button);
  return box;
}

function show(claimed) {
  at("whose").textContent = claimed.name ? `${claimed.course}: the key of ${claimed.name}` : claimed.course;
  at("key").textContent = claimed.key;
  at("base").textContent = claimed.base_url;
  const models = claimed.models === null ? "all models" : claimed.models.join(", ");
  const until = claimed.expires_at === null ? [] : [`until ${new Date(claimed.expires_at).toLocaleString()}`];
  at("limits").append(...[...claimed.limits, `models: ${models || "none"}`, ...until].map(item));
  at("snippets").append(...claimed.snippets.map(snippet));
  at("privacy").append(...claimed.privacy.map(item));
  if (claimed.notice !== null) {
    at("notice").href = claimed.notice;  // an http or https address, by what the server takes
    at("notice-line").hidden = false;
  }
  at("start").hidden = at("problem").hidden = true;
  at("claimed").hidden = false;
  say("");
  at("whose").focus();
  // The link is used up: keep it out of the browser's history. And warn who leaves without a copy.
  history.replaceState(null, "", location.pathname);
  window.onbeforeunload = (event) => event.preventDefault();
}

function failed(reason, mayRetry) {
  at("start").hidden = !mayRetry;
  at("show").disabled = false;
  fail(reason);
}

async function open() {
  at("show").disabled = true;
  say("Fetching your key …");
  const found = await ask("claim", {});
  if (found === null) {
    failed("The server cannot be reached. Try again; if it then says that the link was opened already, ask for a new one.", true);
  } else if (found.reply.ok) {
    show(found.answer);
  } else {
    failed(found.answer.detail, !isOver(found.reply));
  }
}

at("show").onclick = open;
for (const button of document.querySelectorAll("[data-copies]")) {
  button.onclick = () => copy(at(button.dataset.copies), button);
}
if (!secret) at("start").hidden = true;
