"use strict";
// The secret stands behind the "#", which no browser sends. It leaves this page by its buttons alone.
const at = (id) => document.getElementById(id);
const secret = location.hash.slice(1);

function say(text) { at("status").textContent = text; }

function fail(reason) {
  say("");
  at("reason").textContent = reason;
  at("problem").hidden = false;
  at("trouble").focus();
}

function item(text) {
  const made = document.createElement("li");
  made.textContent = text;
  return made;
}

// What the server answers to a call of this page; null: it cannot be reached.
async function ask(path, body) {
  at("problem").hidden = true;
  try {
    const reply = await fetch(`../api/v1/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ secret, ...body }),
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
    });
    return { reply, answer: await reply.json() };
  } catch {
    return null;
  }
}

const isOver = (reply) => [404, 410].includes(reply.status);

if (!secret) fail("This address lacks its last part, behind the #. Copy the whole link.");
