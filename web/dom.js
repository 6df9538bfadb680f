// Builds elements of the page.

/** Returns an element with attributes, listeners (`onclick`) and children. */
export function element(name, attributes = {}, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith("on")) created.addEventListener(key.slice(2), value);
    else created.setAttribute(key, value === true ? "" : value);
  }
  created.append(...children.filter(child => child !== undefined && child !== ""));
  return created;
}

export const at = id => document.getElementById(id);
