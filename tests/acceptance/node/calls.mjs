// One call of the official Node client, chosen by name; prints what came of it as a line of JSON.
// The client finds server and key as a student's does: in OPENAI_BASE_URL and OPENAI_API_KEY.
import OpenAI from "openai";

const model = "gpt-4o-mini";
const messages = [{ role: "user", content: process.env.PROMPT ?? "Say hello to the class." }];
const weather = {
  type: "function",
  function: {
    name: "weather",
    strict: true,
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
  },
};
const answer = {
  type: "object",
  properties: { title: { type: "string" }, points: { type: "array", items: { type: "string" } } },
  required: ["title", "points"],
  additionalProperties: false,
};

let attempts = 0;
const client = new OpenAI({
  ...JSON.parse(process.env.OPTIONS ?? "{}"),
  fetch: (url, init) => {
    attempts += 1;
    return fetch(url, init);
  },
});

const calls = {
  async plain() {
    const { data, response, request_id } = await client.chat.completions
      .create({ model, messages })
      .withResponse();
    return { reply: data, request_id, headers: Object.fromEntries(response.headers) };
  },

  async stream() {
    const chunks = [];
    for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
      chunks.push(chunk);
    }
    return { chunks };
  },

  async stream_helper() {
    const stream = client.chat.completions.stream({
      model,
      messages,
      stream_options: { include_usage: true },
    });
    let text = "";
    stream.on("content", (delta) => (text += delta));
    const reply = await stream.finalChatCompletion();
    return { text, reply, usage: await stream.totalUsage() };
  },

  async tools() {
    const asked = [];
    const runner = client.chat.completions.runTools({
      model,
      messages,
      tools: [
        {
          type: "function",
          function: {
            ...weather.function,
            parse: JSON.parse,
            function: (given) => {
              asked.push(given);
              return "sunny";
            },
          },
        },
      ],
    });
    return { asked, text: await runner.finalContent() };
  },

  async structured() {
    const reply = await client.chat.completions.create({
      model,
      messages,
      response_format: { type: "json_schema", json_schema: { name: "answer", strict: true, schema: answer } },
    });
    return { answer: JSON.parse(reply.choices[0].message.content) };
  },

  async embeddings() {
    const one = await client.embeddings.create({ model: "text-embedding-3-small", input: "A text." });
    const many = await client.embeddings.create({
      model: "text-embedding-3-small",
      input: ["A", "B"],
      encoding_format: "float",
      dimensions: 8,
    });
    return { sizes: [...one.data, ...many.data].map((row) => row.embedding.length) };
  },

  async models() {
    const names = [];
    for await (const found of client.models.list()) names.push(found.id);
    return { names };
  },

  async other_model() {
    await client.chat.completions.create({ model: "gpt-4o", messages });
  },

  async leave() {
    const stream = await client.chat.completions.create({ model, messages, stream: true, max_tokens: 200 });
    for await (const chunk of stream) break; // leaving the loop aborts the request
    return { aborted: stream.controller.signal.aborted };
  },
};

function told(error) {
  if (!(error instanceof OpenAI.APIError)) throw error;
  const { status, code, type, param, message, requestID } = error;
  return { name: error.constructor.name, status, code, type, param, message, request_id: requestID };
}

const began = performance.now();
const result = await calls[process.argv[2]]().catch((error) => ({ error: told(error) }));
console.log(JSON.stringify({ ...result, attempts, ms: performance.now() - began }));
