/** `npm run coverage:rfc`: the requirements of RFC 9846 without a test, and figures by chapter. Ends with 1 where there is one. */
import { faultsOf, figures } from "./coverage.ts";
import { requirements } from "./requirements.ts";

const open = requirements.flatMap((requirement) =>
  faultsOf(requirement).map(
    (fault) => `§${requirement.section} (${requirement.who}) ${requirement.must}: ${fault}`,
  ),
);
console.table(figures(requirements), ["chapter", "requirements", "tested", "exempt"]);
if (process.argv.includes("--exempt")) {
  for (const { section, must, without } of requirements) {
    if (without !== undefined) console.log(`§${section} ${must}: ${without}`);
  }
}
for (const line of open) console.log(line);
const tested = requirements.filter(({ tests }) => tests.length > 0).length;
const exempt = requirements.length - tested;
console.log(
  `${requirements.length} requirements: ${tested} with a test, ${exempt} that bind others or what is not done, ${open.length} without`,
);
process.exitCode = open.length === 0 ? 0 : 1;
