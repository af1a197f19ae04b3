import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addProduct, transform } from "../../src/link/transform.ts";
import { fuzz } from "../support/fuzz.ts";

const small = fc.integer({ min: -100, max: 100 });

describe("a transform", () => {
  test.each([1, 4, 16, 64])("with %d points multiplies polynomials modulo z^(2 points) + 1", (points) => {
    const using = transform(points);
    const polynomial = fc.array(small, { minLength: 2 * points, maxLength: 2 * points });
    const load = (coefficients: readonly number[]) => {
      const spectrum = using.blank();
      spectrum.re.set(coefficients.slice(0, points));
      spectrum.im.set(coefficients.slice(points));
      using.forward(spectrum);
      return spectrum;
    };
    fc.assert(
      fc.property(polynomial, polynomial, (a, b) => {
        const wanted = Array.from({ length: 2 * points }, () => 0);
        a.forEach((x, i) => {
          b.forEach((y, j) => {
            const at = (i + j) % (2 * points);
            wanted[at]! += i + j < 2 * points ? x * y : -x * y;
          });
        });
        const product = using.blank();
        addProduct(product, load(a), load(b));
        using.backward(product);
        [...product.re, ...product.im].forEach((value, at) => expect(value).toBeCloseTo(wanted[at]!, 5));
      }),
      fuzz(30),
    );
  });

  test.each([0, 2, 8, 3, -4, 0.5])("with %d points there is none", (points) => {
    expect(() => transform(points)).toThrow(RangeError);
  });
});
