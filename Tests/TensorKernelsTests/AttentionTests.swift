import ReferenceKernels
import TensorKernels
import Testing

/// Blocked attention against the whole matrix in float64. Scores are sums of d products and of size ~1, softmax turns
/// their error into a relative one: 5e-6 of the largest value, for gradients 1e-5.
@Suite struct AttentionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let queries: Int
        let keys: Int
        let width: Int
        let heads: Int

        init(_ queries: Int, _ keys: Int, width: Int, heads: Int) {
            self.queries = queries
            self.keys = keys
            self.width = width
            self.heads = heads
        }

        var testDescription: String { "\(queries) queries, \(keys) keys, \(heads) heads of \(width)" }

        /// Background, foreground in patches; query 0 in the background.
        var foreground: [UInt8] { (0..<queries).map { UInt8($0 * 7 % 11 > 5 || $0 / 9 % 3 == 1 ? 1 : 0) } }

        /// The text in one chunk, and in chunks that end where blocks of keys do not.
        var masks: [AttentionMask?] {
            let masks: [AttentionMask?] = [
                nil, .causal, .firstKeyOnly(foreground: foreground, chunk: keys),
                .firstKeyOnly(foreground: foreground, chunk: keys.isMultiple(of: 77) ? 77 : max(1, keys / 3)),
            ]
            return queries == keys ? masks + [.backgroundKeys(foreground: foreground)] : masks
        }
    }

    /// Key blocks are 96, 192 or 384 long, query blocks 64: sizes on both sides of each.
    static let cases = [
        Case(1, 1, width: 1, heads: 1), Case(5, 1, width: 8, heads: 3), Case(1, 5, width: 40, heads: 2),
        Case(5, 5, width: 160, heads: 5), Case(63, 63, width: 8, heads: 5), Case(64, 64, width: 40, heads: 2),
        Case(65, 65, width: 64, heads: 3), Case(77, 77, width: 64, heads: 4), Case(64, 77, width: 80, heads: 2),
        Case(65, 64, width: 1, heads: 4), Case(100, 97, width: 160, heads: 1), Case(70, 70, width: 512, heads: 1),
        Case(300, 300, width: 8, heads: 2), Case(300, 77, width: 40, heads: 1), Case(405, 405, width: 40, heads: 1),
        Case(3, 800, width: 17, heads: 2), Case(193, 385, width: 5, heads: 1), Case(65, 154, width: 40, heads: 2),
        Case(5, 462, width: 8, heads: 1),
    ]

    private func inputs(_ test: Case, deviation: Double = 1) -> [DoubleTensor] {
        let channels = test.width * test.heads
        return [
            DoubleTensor(normal: [test.queries, channels], seed: 1, deviation: deviation),
            DoubleTensor(normal: [test.keys, channels], seed: 2, deviation: deviation),
            DoubleTensor(normal: [test.keys, channels], seed: 3),
            DoubleTensor(normal: [test.queries, channels], seed: 4),
        ]
    }

    @Test(arguments: cases)
    func valuesAndGradients(test: Case) {
        let numbers = inputs(test)
        let attention = ScaledDotProductAttention(heads: test.heads)
        for mask in test.masks {
            let reference = ReferenceAttention(heads: test.heads, mask: mask)
            let expected = reference(numbers[0], numbers[1], numbers[2])
            let gradients = reference.gradient(numbers[3], numbers[0], numbers[1], numbers[2])
            for context in ComputeContext.ofAllInstructionSets() {
                let tensors = numbers.map { $0.tensor(in: context) }
                let (q, k, v, dy) = (tensors[0], tensors[1], tensors[2], tensors[3])
                let (y, saved) = attention.forward(q, k, v, mask: mask, in: context)
                #expect(y.relativeError(to: expected) < 5e-6)
                let (dq, dk, dv) = attention.gradient(dy, q: q, k: k, v: v, y: y, saved: saved, mask: mask, in: context)
                // A query of one visible key has a gradient of 0, known only to the size of the others'.
                let scale = max(gradients.dv.values.reduce(0) { max($0, abs($1)) }, 1)
                #expect(difference(dq, gradients.dq) < 1e-5 * scale)
                #expect(difference(dk, gradients.dk) < 1e-5 * scale)
                #expect(difference(dv, gradients.dv) < 1e-5 * scale)
                let alone = attention.queryGradient(dy, q: q, k: k, v: v, y: y, saved: saved, mask: mask, in: context)
                #expect(alone.floats == dq.floats)
            }
        }
    }

    private func difference(_ values: Tensor, _ expected: DoubleTensor) -> Double {
        guard values.shape == expected.shape, values.isFinite else { return .infinity }
        return zip(values.floats, expected.values).reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
    }

    /// The reference's adjoint is the derivative of its forward pass.
    @Test(arguments: [cases[3], cases[6]])
    func referenceGradientsAreCentralDifferences(test: Case) {
        let numbers = inputs(test)
        for mask in test.masks {
            let reference = ReferenceAttention(heads: test.heads, mask: mask)
            let gradients = reference.gradient(numbers[3], numbers[0], numbers[1], numbers[2])
            for (input, gradient) in [gradients.dq, gradients.dk, gradients.dv].enumerated() {
                let direction = DoubleTensor(normal: gradient.shape, seed: 5)
                let slope = directionalDerivative(
                    of: { changed in
                        var inputs = numbers
                        inputs[input] = changed
                        return reference(inputs[0], inputs[1], inputs[2])
                    }, at: numbers[input], along: direction, against: numbers[3])
                #expect(abs(gradient.dot(direction) - slope) < 1e-7 * gradient.norm + 1e-8)
            }
        }
    }

    /// A background position alone sees itself alone: it copies its own value, and its query has no gradient.
    @Test(arguments: [0, 64, 199])
    func backgroundPositionAlone(position: Int) {
        let test = Case(200, 200, width: 16, heads: 2)
        let numbers = inputs(test)
        let attention = ScaledDotProductAttention(heads: 2)
        let mask = AttentionMask.backgroundKeys(foreground: (0..<200).map { $0 == position ? 0 : 1 })
        for context in ComputeContext.ofAllInstructionSets() {
            let tensors = numbers.map { $0.tensor(in: context) }
            let (q, k, v, dy) = (tensors[0], tensors[1], tensors[2], tensors[3])
            let (y, saved) = attention.forward(q, k, v, mask: mask, in: context)
            let row = position * 32..<(position + 1) * 32
            #expect(Array(y.floats[row]) == Array(v.floats[row]))
            let dq = attention.gradient(dy, q: q, k: k, v: v, y: y, saved: saved, mask: mask, in: context).dq
            #expect(dq.floats[row].allSatisfy { abs($0) < 1e-5 })
            #expect(dq.isFinite)
        }
    }

    /// Scores of +-1e4, far beyond where an exponential overflows: the softmax is nearly a choice of one key. Scores
    /// are known to 1e4 epsilon = 1e-3, so that is what a weight is known to.
    @Test func hugeScores() {
        let test = Case(70, 410, width: 16, heads: 2)
        let numbers = inputs(test, deviation: 70)
        let attention = ScaledDotProductAttention(heads: 2)
        for mask in test.masks {
            let reference = ReferenceAttention(heads: 2, mask: mask)
            let expected = reference(numbers[0], numbers[1], numbers[2])
            for context in ComputeContext.ofAllInstructionSets() {
                let tensors = numbers.map { $0.tensor(in: context) }
                let (q, k, v, dy) = (tensors[0], tensors[1], tensors[2], tensors[3])
                let (y, saved) = attention.forward(q, k, v, mask: mask, in: context)
                #expect(y.relativeError(to: expected) < 2e-3)
                let (dq, dk, dv) = attention.gradient(dy, q: q, k: k, v: v, y: y, saved: saved, mask: mask, in: context)
                #expect(dq.isFinite && dk.isFinite && dv.isFinite)
                let gradients = reference.gradient(numbers[3], numbers[0], numbers[1], numbers[2])
                #expect(dv.relativeError(to: gradients.dv) < 1e-2)
            }
        }
    }

    /// A query that is not a number must be seen in the result, or a broken job would end with a picture.
    @Test func notANumberStaysThat() {
        let test = Case(5, 100, width: 8, heads: 1)
        let numbers = inputs(test)
        let attention = ScaledDotProductAttention(heads: 1)
        for context in ComputeContext.ofAllInstructionSets() {
            for input in 0..<3 {
                var broken = numbers
                broken[input].values[2 * 8 + 3] = .nan
                let tensors = broken.map { $0.tensor(in: context) }
                let y = attention.forward(tensors[0], tensors[1], tensors[2], in: context).y.floats
                let rows = (0..<5).map { row in y[row * 8..<(row + 1) * 8].contains { $0.isNaN } }
                #expect(rows == (0..<5).map { input > 0 || $0 == 2 }, "\(context.instructionSetName), input \(input)")
            }
        }
    }

    @Test func sameBitsOnAnyThreads() {
        let test = Case(130, 130, width: 24, heads: 5)
        let numbers = inputs(test)
        let attention = ScaledDotProductAttention(heads: 5)
        #expect(
            ComputeContext.givesSameBitsOnAnyThreads { context in
                let tensors = numbers.map { $0.tensor(in: context) }
                let (q, k, v, dy) = (tensors[0], tensors[1], tensors[2], tensors[3])
                return test.masks.flatMap { mask in
                    let (y, saved) = attention.forward(q, k, v, mask: mask, in: context)
                    let all = attention.gradient(dy, q: q, k: k, v: v, y: y, saved: saved, mask: mask, in: context)
                    let dq = attention.queryGradient(
                        dy, q: q, k: k, v: v, y: y, saved: saved, mask: mask, in: context)
                    return [y, all.dq, all.dk, all.dv, dq]
                }
            })
    }
}
