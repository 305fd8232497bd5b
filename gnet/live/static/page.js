"use strict";
// What came from the network is put into the page as text alone (textContent), never as markup.
const token = new URLSearchParams(location.search).get("token") || "";
const control = document.documentElement.dataset.control === "yes";
const find = (selector, inside = document) => inside.querySelector(selector);
const view = { sort: "age", descending: "", search: "", server: "" };
const KEPT = 60;
const history_ = new Map();
let stream = null, columns = [];

function address(path, query) {
  return path + "?" + new URLSearchParams({ token, ...query });
}

function make(name, text, classes) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (classes) made.className = classes;
  return made;
}

// -- numbers ------------------------------------------------------------------------------------

const count = (value) => Number(value || 0).toLocaleString("en");

function size(bytes) {
  let value = bytes || 0, unit = 0;
  const units = ["B", "KB", "MB", "GB", "TB"];
  while (value >= 1000 && unit < units.length - 1) { value /= 1024; unit++; }
  return (value >= 10 || !unit ? value.toFixed(0) : value.toFixed(1)) + " " + units[unit];
}

function time(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.001) return (seconds * 1e6).toFixed(0) + " µs";
  if (seconds < 1) return (seconds * 1e3).toFixed(seconds < 0.1 ? 1 : 0) + " ms";
  if (seconds < 120) return seconds.toFixed(seconds < 10 ? 1 : 0) + " s";
  if (seconds < 7200) return (seconds / 60).toFixed(0) + " min";
  return seconds < 172800 ? (seconds / 3600).toFixed(0) + " h" : (seconds / 86400).toFixed(0) + " d";
}

// Bytes a second since the last look, kept for the charts.
function note(key, at, received = 0, sent = 0) {
  const kept = history_.get(key) || { at: 0, received: 0, sent: 0, points: [] };
  if (kept.at && at > kept.at) {
    const passed = at - kept.at;
    kept.points.push([
      Math.max(0, received - kept.received) / passed, Math.max(0, sent - kept.sent) / passed,
    ]);
    if (kept.points.length > KEPT) kept.points.shift();
  }
  Object.assign(kept, { at, received, sent });
  history_.set(key, kept);
  return kept.points;
}

// -- charts -------------------------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";

function chart() {
  const drawn = document.createElementNS(SVG, "svg");
  drawn.setAttribute("class", "chart");
  drawn.setAttribute("viewBox", "0 0 100 40");
  drawn.setAttribute("preserveAspectRatio", "none");
  drawn.setAttribute("role", "img");
  for (const name of ["in-area", "out-area", "in", "out"]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    drawn.append(path);
  }
  return drawn;
}

function draw(drawn, points) {
  const top = Math.max(1, ...points.flat());
  const steps = Math.max(points.length - 1, 9);
  const x = (index) => (100 - (points.length - 1 - index) * (100 / steps)).toFixed(2);
  const y = (value) => (38.5 - (value / top) * 36).toFixed(2);
  ["in", "out"].forEach((name, which) => {
    const line = points.map((point, index) => `${x(index)} ${y(point[which])}`).join(" L");
    const whole = points.length > 1;
    find("." + name, drawn).setAttribute("d", whole ? "M" + line : "");
    const area = `M${x(0)} 39 L${line} L100 39 Z`;
    find("." + name + "-area", drawn).setAttribute("d", whole ? area : "");
  });
  const [received, sent] = points.at(-1) || [0, 0];
  drawn.setAttribute("aria-label", `${size(received)} a second in, ${size(sent)} out`);
}

// -- the program --------------------------------------------------------------------------------

const sum = (values) => values.reduce((total, value) => total + (value || 0), 0);
const most = (values) => {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length ? Math.max(...known) : null;
};
const reasons = (counts) => Object.entries(counts || {}).filter(([, value]) => value)
  .map(([name, value]) => `${name} ${count(value)}`).join(", ");

function merged(all) {
  const total = {};
  for (const counts of all) {
    for (const [name, value] of Object.entries(counts || {})) total[name] = (total[name] || 0) + value;
  }
  return total;
}

function showProgram(told) {
  const { processes } = told, [first] = processes;
  const stats = processes.map((each) => each.process);
  const workers = processes.filter((each) => each.worker).length;
  find("#program").textContent =
    `process ${first.pid}` + (workers ? ` and ${workers} worker${workers > 1 ? "s" : ""}` : "");
  document.title = `${count(told.total)} · gnet live`;
  const points = note("", first.time, sum(stats.map((s) => s.bytes_in)), sum(stats.map((s) => s.bytes_out)));
  const [received, sent] = points.at(-1) || [0, 0];
  const dropped = sum(stats.flatMap((each) => Object.values(each.refused)));
  const lag = most(stats.map((s) => s.loop_lag));
  const connects = stats.map((s) => s.connects), lookups = stats.map((s) => s.dns);
  const accepted = sum(stats.map((s) => s.accepted));
  tiles([
    ["Connections", count(told.total), `${count(accepted)} accepted`],
    ["Received", `${size(received)}/s`, `${size(sum(stats.map((s) => s.bytes_in)))} in all`],
    ["Sent", `${size(sent)}/s`, `${size(sum(stats.map((s) => s.bytes_out)))} in all`],
    ["Dropped", count(dropped), reasons(merged(stats.map((s) => s.refused))) || "none", dropped],
    ["Loop lag", time(lag), "at the worst", lag > 0.1],
    ["Lookups", count(sum(lookups.map((s) => s.asked))),
      `${count(sum(lookups.map((s) => s.failed)))} failed, ` +
      `${count(sum(lookups.map((s) => s.cache_hits)))} known`],
    ["Connects", count(sum(connects.map((s) => s.tried))),
      reasons(merged(connects.map((s) => s.failed))) || "none failed"],
    ["Greenlets", count(sum(stats.map((s) => s.greenlets_lent))),
      `${count(sum(stats.map((s) => s.greenlets_idle)))} idle`],
  ]);
}

function tiles(all) {
  const place = find("#tiles");
  all.forEach(([title, value, more, bad], index) => {
    let tile = place.children[index];
    if (!tile) {
      tile = make("div", undefined, "tile");
      tile.append(make("span", title), make("b"), make("small"));
      place.append(tile);
    }
    tile.classList.toggle("bad", Boolean(bad));
    tile.children[1].textContent = value;
    tile.children[2].textContent = more;
  });
}

// -- servers ------------------------------------------------------------------------------------

function showServers(told) {
  const place = find("#servers"), shown = new Set();
  for (const process of told.processes) {
    for (const server of process.servers) {
      shown.add(server.id);
      showServer(card(place, server), server, process);
    }
  }
  for (const each of [...place.children]) {
    if (!shown.has(each.dataset.id)) { history_.delete(each.dataset.id); each.remove(); }
  }
  const choice = find("#server");
  const names = [...new Set(told.processes.flatMap((each) => each.servers.map((s) => s.address)))];
  if (view.server && !names.includes(view.server)) names.push(view.server);
  if (names.join("\n") !== choice.dataset.names) {
    choice.dataset.names = names.join("\n");
    choice.replaceChildren(...["", ...names].map((name) => {
      const option = make("option", name || "All servers");
      option.value = name;
      return option;
    }));
    choice.value = view.server;
  }
}

function card(place, server) {
  const known = [...place.children].find((each) => each.dataset.id === server.id);
  if (known) return known;
  const made = make("article", undefined, "server");
  made.dataset.id = server.id;
  const top = make("div", undefined, "top"), legend = make("div", undefined, "legend");
  top.append(make("h3"), make("span", undefined, "active"));
  legend.append(make("span", undefined, "in"), make("span", undefined, "out"));
  made.append(top, chart(), legend, make("p", undefined, "facts"), make("div", undefined, "chips"));
  if (control) {
    const button = make("button", "Drain", "danger drain");
    button.title = "Accept no more; the connections go on";
    button.addEventListener("click", () => act("drain", server.id, "The server accepts no more"));
    made.append(button);
  }
  place.append(made);
  return made;
}

function showServer(made, server, process) {
  const points = note(server.id, process.time, server.bytes_in, server.bytes_out);
  const [received, sent] = points.at(-1) || [0, 0];
  find("h3", made).textContent = server.address || "closing";
  find(".active", made).replaceChildren(count(server.active), make("small", " open"));
  draw(find(".chart", made), points);
  find(".legend .in", made).textContent = `${size(received)}/s in`;
  find(".legend .out", made).textContent = `${size(sent)}/s out`;
  const facts = [`${count(server.accepted)} accepted`];
  if (process.worker) facts.push(`worker ${process.pid}`);
  if (server.listening_since === null) facts.push("accepts no more");
  else facts.push(`for ${time(process.time - server.listening_since)}`);
  if (server.queued) facts.push(`${size(server.queued)} queued`);
  if (server.pauses) facts.push(`${count(server.pauses)} pauses`);
  if (server.handshakes_active) facts.push(`${count(server.handshakes_active)} handshakes`);
  find(".facts", made).replaceChildren(...facts.map((text) => make("span", text)));
  const drops = Object.entries(server.refused || {}).filter(([, value]) => value);
  const chips = drops.map(([name, value]) => make("span", `${name} ${count(value)}`, "chip bad"));
  if (server.handshakes_failed) {
    chips.push(make("span", `failed handshakes ${count(server.handshakes_failed)}`, "chip bad"));
  }
  find(".chips", made).replaceChildren(...chips);
}

// -- connections --------------------------------------------------------------------------------

function showColumns(told) {
  if (columns.length) return;
  columns = told.columns;
  find("#connections thead tr").replaceChildren(...columns.map((column) => {
    const head = make("th", undefined, column.number ? "number" : "");
    const button = make("button", column.title);
    button.type = "button";
    button.addEventListener("click", () => sortBy(column));
    head.dataset.name = column.name;
    head.scope = "col";
    head.append(button);
    return head;
  }));
  find("#sort").replaceChildren(...columns.map((column) => {
    const option = make("option", `Sort by ${column.title.toLowerCase()}`);
    option.value = column.name;
    return option;
  }));
}

function sortBy(column) {
  const again = view.sort === column.name;
  view.descending = again ? (view.descending ? "" : "1") : column.number ? "1" : "";
  view.sort = column.name;
  listen();
}

function showConnections(told) {
  for (const head of find("#connections thead tr").children) {
    if (head.dataset.name === told.view.sort) {
      head.setAttribute("aria-sort", told.view.descending ? "descending" : "ascending");
    } else head.removeAttribute("aria-sort");
  }
  find("#sort").value = told.view.sort;
  const body = find("#connections tbody");
  const rows = new Map([...body.children].map((row) => [row.dataset.id, row]));
  const wanted = told.connections.map((connection) => {
    const row = rows.get(connection.id) || newRow(connection.id);
    connection.cells.forEach((text, index) => {
      const cell = row.children[index];
      if (cell.textContent !== text) { cell.textContent = text; cell.title = text; }
    });
    return row;
  });
  wanted.forEach((row, index) => {
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] || null);
  });
  while (body.children.length > wanted.length) body.lastChild.remove();
  find("#empty").hidden = wanted.length > 0;
  find("#empty").textContent = told.total ? "No connection matches." : "No connection is open.";
  const shown = wanted.length;
  find("#count").textContent = shown === told.total
    ? `${count(told.total)} open`
    : `${count(shown)} of ${count(told.matching)} that match, ${count(told.total)} open`;
}

function newRow(id) {
  const row = make("tr");
  row.dataset.id = id;
  row.tabIndex = 0;
  for (const column of columns) {
    const cell = make("td", "", "of-" + column.name + (column.number ? " number" : ""));
    cell.dataset.title = column.title;
    row.append(cell);
  }
  const open = () => showDetails(id, row.children[1].textContent);
  row.addEventListener("click", open);
  row.addEventListener("keydown", (event) => { if (event.key === "Enter") open(); });
  return row;
}

// -- one connection -----------------------------------------------------------------------------

const dialog = find("#details");
let followed = null;

function showDetails(id, title) {
  if (followed) followed.close();
  find("#details-title").textContent = title || "Connection";
  find("dl", dialog).replaceChildren();
  find("#stack").replaceChildren();
  find("#happened").replaceChildren();
  find("#actions").replaceChildren(...(control ? [
    button("Close", "close", id, "What is queued is sent, then it is closed"),
    button("Reset", "reset", id, "It is reset"),
  ] : []));
  followed = new EventSource(address("connection", { id }));
  followed.addEventListener("details", (event) => {
    const { stack, ...facts } = JSON.parse(event.data);
    find("dl", dialog).replaceChildren(...Object.entries(facts).flatMap(([name, value]) => [
      make("dt", name.replaceAll("_", " ")), make("dd", value === null ? "–" : String(value)),
    ]));
    const frames = (stack || []).map((line) => make("li", line));
    find("#stack").replaceChildren(...(frames.length ? frames : [make("li", "none at the moment")]));
  });
  followed.addEventListener("happened", (event) => happened(JSON.parse(event.data)));
  followed.addEventListener("trouble", (event) => happened({ name: JSON.parse(event.data).text }));
  followed.addEventListener("over", () => followed.close());
  if (!dialog.open) dialog.showModal();
}

function happened(event) {
  const list = find("#happened"), item = make("li");
  const { name, time: at, ...more } = event;
  const clock = at ? new Date(at * 1000).toISOString().slice(11, 21) : "";
  const text = [name, ...Object.values(more)].join(" ");
  item.append(make("time", clock), text);
  list.append(item);
  while (list.children.length > 200) list.firstChild.remove();
  list.scrollTop = list.scrollHeight;
}

function button(title, verb, id, done) {
  const made = make("button", title, "danger " + verb);
  made.type = "button";
  made.addEventListener("click", () => act(verb, id, done));
  return made;
}

dialog.addEventListener("close", () => { if (followed) followed.close(); followed = null; });

async function act(verb, id, done) {
  try {
    const answer = await fetch(address(verb, { id }), { method: "POST" });
    notice(answer.ok ? done : await answer.text());
  } catch (error) {
    notice("The program does not answer");
  }
}

let noticed = 0;
function notice(text) {
  const place = find("#notice");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(noticed);
  noticed = setTimeout(() => { place.hidden = true; }, 4000);
}

// -- the stream ---------------------------------------------------------------------------------

function status(text, bad) {
  find("#status").textContent = text;
  find("#status").classList.toggle("bad", Boolean(bad));
}

function listen() {
  if (stream) stream.close();
  stream = new EventSource(address("events", view));
  stream.addEventListener("list", (event) => {
    const told = JSON.parse(event.data);
    showColumns(told);
    showProgram(told);
    showServers(told);
    showConnections(told);
    status("live");
  });
  stream.addEventListener("trouble", (event) => status(JSON.parse(event.data).text, true));
  stream.addEventListener("error", () => status("no answer: trying again", true));
}

let typing = 0;
find("#search").addEventListener("input", (event) => {
  view.search = event.target.value;
  clearTimeout(typing);
  typing = setTimeout(listen, 200);
});
find("#server").addEventListener("change", (event) => { view.server = event.target.value; listen(); });
find("#sort").addEventListener("change", (event) => {
  sortBy(columns.find((column) => column.name === event.target.value));
});
find("#theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { if (stream) stream.close(); status("paused"); } else listen();
});
listen();
