import { expect, test } from "vitest";
import { example, HYBRID } from "./run.ts";

test("chat: what anna says by TCP is read by ben, who came by WebSocket, and the other way round", async () => {
  const { code, stdout, stderr } = await example("chat", [], "good morning\nI \u001b[2Jam off\n");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = stdout.trimEnd().split("\n");
  const heard = (reader: "anna" | "ben"): string[] => {
    const of = lines.filter((line) => line.includes("(ben reads)") === (reader === "ben"));
    return of.map((line) => line.replace(/^\t\(ben reads\) /, ""));
  };
  const cameIn = (name: string): unknown =>
    expect.stringMatching(new RegExp(`^\\* ${name} came in, by ${HYBRID}$`));
  const said = ["ben: hello anna", "anna: good morning", "anna: I [2Jam off"];
  expect(heard("anna")).toEqual([cameIn("anna"), ...said]);
  expect(heard("ben")).toEqual([cameIn("ben"), cameIn("anna"), ...said, "* anna left"]);
});
