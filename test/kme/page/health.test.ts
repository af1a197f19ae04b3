import { describe, expect, test } from "vitest";
import { standingOf } from "../../../src/kme/page/health.ts";
import { bed, failed, record } from "./watched.ts";

const codes = (...[watched, ms]: Parameters<typeof standingOf>) => {
  const { status, reasons } = standingOf(watched, ms);
  return [status, ...reasons.map(({ code }) => code)];
};

describe("a KME is", () => {
  test("ok while it has keys, and the link makes some or need not", () => {
    const { watched, history, stock } = bed();
    expect(codes(watched, 0)).toEqual(["ok"]);
    history.push(record(1));
    stock.a = stock.b = 40;
    expect(codes(watched, 3_600_000)).toEqual(["ok"]);
  });

  test("failing when its store fails, whose code is told and whose place is not", () => {
    const { watched, failures } = bed();
    failures.b = failed();
    expect(standingOf(watched, 0)).toEqual({
      status: "failing",
      reasons: [{ code: "store_failed", text: "the store of kme-b fails (ERR_STORE_UNWRITABLE)" }],
    });
  });

  test("degraded when it has no key left", () => {
    const { watched, stock } = bed();
    stock.a = 0;
    expect(codes(watched, 0)).toEqual(["degraded", "stock_empty"]);
    stock.b = 0;
    expect(codes(watched, 0)).toEqual(["degraded", "stock_empty", "stock_empty"]);
  });

  test("degraded as long as the link's latest block gave no key", () => {
    const { watched, history } = bed();
    history.push(record(1, "qber_over_threshold", 0.07));
    expect(standingOf(watched, 0).reasons).toEqual([
      { code: "link_without_key", text: "the link makes no key (qber_over_threshold)" },
    ]);
    history.push(record(2));
    expect(codes(watched, 0)).toEqual(["ok"]);
  });

  test("degraded when the link is silent although the stock wants keys", () => {
    const { watched } = bed();
    expect(codes(watched, 60_000)).toEqual(["ok"]);
    expect(codes(watched, 60_001)).toEqual(["degraded", "link_silent"]);
    expect(codes({ kmes: watched.kmes }, 60_001)).toEqual(["ok"]);
  });

  test("degraded while its end of the link is not connected", () => {
    const { watched } = bed();
    const connected = { fibre: false, channel: true, peer: false };
    const link = { status: { ...watched.link.status, connected } };
    expect(standingOf({ kmes: watched.kmes, link }, 0)).toEqual({
      status: "degraded",
      reasons: [
        { code: "link_apart", text: "the fibre is not connected" },
        { code: "link_apart", text: "the other KME is not connected" },
      ],
    });
  });

  test("failing rather than degraded, with all reasons", () => {
    const { watched, stock, failures, history } = bed();
    failures.a = failed();
    stock.a = 0;
    history.push(record(1, "too_few_detections", undefined));
    expect(codes(watched, 0)).toEqual(["failing", "store_failed", "stock_empty", "link_without_key"]);
  });
});
