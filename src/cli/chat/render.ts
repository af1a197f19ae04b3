import type { LineFromRoom, Person } from "./lines.ts";

/** What the room said, for people. Whoever speaks is shown with what protects them. */
export function render(line: LineFromRoom, people: ReadonlyMap<string, Person>): string {
  switch (line.kind) {
    case "welcome":
      return [`* you are ${line.name}; here are:`, ...line.people.map(listed)].join("\n");
    case "people":
      return [`* ${line.people.length} here:`, ...line.people.map(listed)].join("\n");
    case "joined":
      return `* ${shown(line.person)} joined`;
    case "left":
      return `* ${line.name} left`;
    case "said": {
      const person = people.get(line.name);
      return `${person === undefined ? line.name : shown(person)}: ${line.text}`;
    }
    case "notice":
      return `* ${line.text}`;
    case "refused":
      return `* refused: ${line.text}`;
    case "closed":
      return "* the room is closed";
  }
}

const shown = ({ name, protection }: Person): string => `${name} [${protection}]`;
const listed = (person: Person): string => `    ${shown(person)}`;
