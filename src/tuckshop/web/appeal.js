const LEFT_TOLD = 200; // characters, from which on it is told how many are left
const DONE = { blocked: "not sent on", noted: "noted", redacted: "sent on without it" };
const STANDS = { open: "", upheld: ". It stands", dismissed: ". It was dismissed and counts for nothing" };
const WHY = {
  deny_words: "a word that is not allowed here",
  deny_patterns: "a text that is not allowed here",
};
const why = (reason) => WHY[reason] || reason.replaceAll("_", " ");
const time = (text) => new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

function line(flag) {
  const times = flag.repeats > 1 ? `, ${flag.repeats} times, last ${time(flag.last_at)}` : "";
  const what = flag.source === "output" ? "an answer" : "a call";
  return item(`${time(flag.at)}${times}: ${what}, ${DONE[flag.action]}, for ${flag.reasons.map(why).join(", ")}${STANDS[flag.state]}.`);
}

function show(own) {
  at("whose").textContent = own.name ? `${own.course}: ${own.name}` : own.course;
  at("standing").textContent = own.paused ? "You are paused at the moment: your keys open nothing until somebody has looked." : "";
  at("standing").hidden = !own.paused;
  at("flags").append(...own.data.map(line));
  at("until").textContent = time(own.expires_at);
  at("start").hidden = true;
  at("flagged").hidden = false;
  say("");
  at("whose").focus();
}

function count() {
  const left = at("words").maxLength - at("words").value.length;
  at("left").textContent = left <= LEFT_TOLD ? `${left} characters left` : "";
}

// What a call answered, if it went well; else it is told, and *again* may be pressed if that may help.
function good(found, again, section) {
  again.disabled = false;
  if (found !== null && found.reply.ok) return found.answer;
  if (found !== null && isOver(found.reply)) at(section).hidden = true;
  fail(found === null ? "The server cannot be reached. Try again." : found.answer.detail);
  return null;
}

at("show").onclick = async () => {
  at("show").disabled = true;
  say("Fetching …");
  const own = good(await ask("appeal/flags", {}), at("show"), "start");
  if (own !== null) show(own);
};

at("send").onclick = async () => {
  const reason = at("words").value.trim();
  if (!reason) { say("Write something first."); at("words").focus(); return; }
  at("send").disabled = true;
  say("Sending …");
  if (good(await ask("appeal", { reason }), at("send"), "flagged") === null) return;
  // The link is used up: keep it out of the browser's history.
  history.replaceState(null, "", location.pathname);
  at("flagged").hidden = true;
  at("sent").hidden = false;
  window.onbeforeunload = null;
  say("");
  at("thanks").focus();
};

at("words").oninput = () => {
  count();
  window.onbeforeunload = at("words").value ? (event) => event.preventDefault() : null;
};
if (!secret) at("start").hidden = true;
