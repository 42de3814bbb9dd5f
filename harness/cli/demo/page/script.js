"use strict";

const POLL_MS = 400;
const at = (id) => document.getElementById(id);
let methods = [];
let image = null;
let busy = false;

function show(id, text) {
  at(id).textContent = text;
}

async function answer(response) {
  let content = {};
  try {
    content = await response.json();
  } catch {
    throw new Error(`the server answered ${response.status}; look at its terminal`);
  }
  if (!response.ok) {
    throw new Error(content.error || `the server answered ${response.status}`);
  }
  return content;
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("the server does not answer; start python -m harness demo again");
  }
  return answer(response);
}

function option(value, text) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}

function fillPrompts() {
  const method = methods.find((one) => one.name === at("method").value);
  const choices = method.tasks.map((task) => option(task, task));
  if (!method.needs_task) {
    const text = method.tasks.length ? "chosen by the method" : "none to choose";
    choices.unshift(option("", text));
  }
  at("prompt").replaceChildren(...choices);
}

async function begin() {
  const known = await ask("/methods");
  methods = known.methods;
  at("method").replaceChildren(...methods.map((one) => option(one.name, one.name)));
  const { megabytes, megapixels } = known.limits;
  show(
    "limits",
    `Images stay on this machine: files up to ${megabytes} MB, images up to ${megapixels} megapixels.`,
  );
  fillPrompts();
}

function choose(file) {
  image = file;
  show("error", "");
  show("chosen", file ? `Chosen: ${file.name || "pasted image"}` : "");
}

function instead(file) {
  at("file").value = "";
  choose(file);
}

function fail(error) {
  show("status", "");
  at("progress").hidden = true;
  show("error", error.message);
}

async function finished(id) {
  for (;;) {
    const job = await ask(`/jobs/${id}`);
    if (job.state === "failed") {
      throw new Error(job.error);
    }
    if (job.state === "done") {
      return job;
    }
    at("progress").value = job.fraction;
    const waiting = job.ahead === 1 ? "1 image comes first" : `${job.ahead} images come first`;
    show("status", job.state === "waiting" && job.ahead ? `Waiting: ${waiting}.` : "Restoring…");
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function loaded(picture, source) {
  return new Promise((resolve, reject) => {
    picture.onload = resolve;
    picture.onerror = () => reject(new Error("the restored image could not be loaded"));
    picture.src = source;
  });
}

function fact(text) {
  const item = document.createElement("li");
  item.textContent = text;
  return item;
}

async function present(id, job) {
  await Promise.all([
    loaded(at("before"), `/jobs/${id}/before.png`),
    loaded(at("after"), `/jobs/${id}/after.png`),
  ]);
  const { naturalWidth, naturalHeight } = at("after");
  // The whole image fits into the window, so that both ends of it are compared at once.
  for (const part of [at("compare"), at("sides")]) {
    part.style.maxWidth = `calc(85vh * ${naturalWidth / naturalHeight})`;
  }
  const link = at("download");
  link.href = `/jobs/${id}/result`;
  link.download = job.name;
  at("facts").replaceChildren(...job.facts.map(fact));
  at("result").hidden = false;
  at("result-title").focus({ preventScroll: true });
  at("result").scrollIntoView({ block: "nearest" });
  show("status", `Restored in ${job.wall_s} s.`);
}

async function restore() {
  if (!image) {
    throw new Error("no image is chosen; choose, drop or paste one");
  }
  at("result").hidden = true;
  at("progress").value = 0;
  at("progress").hidden = false;
  show("status", "Sending the image…");
  const query = new URLSearchParams({
    method: at("method").value,
    prompt: at("prompt").value,
    name: image.name || "pasted.png",
  });
  const headers = { "X-Harness-Demo": "1", "Content-Type": "application/octet-stream" };
  const { id } = await ask(`/jobs?${query}`, { method: "POST", body: image, headers });
  const job = await finished(id);
  await present(id, job);
  at("progress").hidden = true;
}

async function submit(event) {
  event.preventDefault();
  if (busy) {
    return;
  }
  busy = true;
  at("start").disabled = true;
  show("error", "");
  try {
    await restore();
  } catch (error) {
    fail(error);
  } finally {
    busy = false;
    at("start").disabled = false;
  }
}

function slide() {
  const share = at("slider").value;
  at("compare").style.setProperty("--share", `${share}%`);
  at("slider").setAttribute("aria-valuetext", `${share} percent before`);
}

function drop(event) {
  event.preventDefault();
  at("drop").classList.remove("over");
  const file = event.dataTransfer.files[0];
  if (file) {
    instead(file);
  }
}

function drag(event) {
  event.preventDefault();
  at("drop").classList.add("over");
}

at("form").addEventListener("submit", submit);
at("file").addEventListener("change", (event) => choose(event.target.files[0] || null));
at("method").addEventListener("change", fillPrompts);
at("slider").addEventListener("input", slide);
document.addEventListener("dragover", drag);
document.addEventListener("dragleave", () => at("drop").classList.remove("over"));
document.addEventListener("drop", drop);
document.addEventListener("paste", (event) => {
  const file = event.clipboardData.files[0];
  if (file) {
    instead(file);
  }
});
slide();
begin().catch(fail);
