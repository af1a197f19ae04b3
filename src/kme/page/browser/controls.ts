/** The controls of the simulated fibre. */

import type { FibreFigures } from "../figures.ts";
import { element, elementOf, setText } from "./elements.ts";

const UNDISTURBED = { interceptShare: 0, splitShare: 0, addedLossDb: 0, cut: false };

/** The form: what it says is laid when a person asks for it, and it says what lies there as long as nobody edits it. */
export class Controls {
  readonly #form = elementOf(HTMLFormElement, "#controls");
  readonly #token = elementOf(HTMLMetaElement, 'meta[name="token"]').content;
  #isEdited = false;

  constructor() {
    this.#form.addEventListener("input", () => {
      this.#isEdited = true;
      this.#showShares();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#lay(this.#read());
    });
    element("#undisturbed").addEventListener("click", () => {
      const { lengthKm } = this.#read();
      void this.#lay({ lengthKm, ...UNDISTURBED });
    });
  }

  show(fibre: FibreFigures | undefined, hasControls: boolean): void {
    this.#form.hidden = !hasControls;
    if (fibre === undefined || this.#isEdited) return;
    input("lengthKm").value = String(fibre.lengthKm);
    input("interceptShare").value = String(Math.round(100 * fibre.interceptShare));
    input("splitShare").value = String(Math.round(100 * fibre.splitShare));
    input("addedLossDb").value = String(fibre.addedLossDb);
    input("cut").checked = fibre.cut;
    this.#showShares();
  }

  #read(): FibreFigures {
    return {
      lengthKm: input("lengthKm").valueAsNumber,
      interceptShare: input("interceptShare").valueAsNumber / 100,
      splitShare: input("splitShare").valueAsNumber / 100,
      addedLossDb: input("addedLossDb").valueAsNumber,
      cut: input("cut").checked,
    };
  }

  #showShares(): void {
    for (const name of ["interceptShare", "splitShare"])
      setText(`output[for="${name}"]`, `${input(name).value} %`);
  }

  async #lay(fibre: FibreFigures): Promise<void> {
    setText("#controls-said", "");
    try {
      const answer = await fetch("fibre", {
        method: "POST",
        headers: { "content-type": "application/json", "x-page-token": this.#token },
        body: JSON.stringify(fibre),
      });
      if (answer.ok) {
        this.#isEdited = false;
        this.show(fibre, true);
        setText("#controls-said", "Done: it counts from the next pulses on.");
        return;
      }
      const { message }: { message?: string } = await answer.json();
      setText("#controls-said", `Refused: ${message ?? answer.status}.`);
    } catch {
      setText("#controls-said", "The KME cannot be reached.");
    }
  }
}

const input = (id: string): HTMLInputElement => elementOf(HTMLInputElement, `#${id}`);
