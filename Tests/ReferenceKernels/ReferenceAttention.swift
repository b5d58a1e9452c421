import Foundation
import TensorKernels

extension AttentionMask {
    /// The rules of the paper's Eqs. 13-15, one pair at a time.
    public func lets(query: Int, see key: Int) -> Bool {
        switch self {
        case .causal: key <= query
        case .firstKeyOnly(let foreground, let chunk): foreground[query] == 1 || key.isMultiple(of: chunk)
        case .backgroundKeys(let foreground): foreground[query] == 1 || foreground[key] == 0
        }
    }
}

/// softmax(Q K^T / sqrt(d)) V with the whole matrix of weights at hand, in float64.
public struct ReferenceAttention: Sendable {
    let heads: Int
    let mask: AttentionMask?

    public init(heads: Int, mask: AttentionMask?) {
        self.heads = heads
        self.mask = mask
    }

    /// Weights `[queries, keys]` of one head; 0 for a key that its query does not see.
    private func weights(_ q: DoubleTensor, _ k: DoubleTensor, head: Int) -> DoubleTensor {
        let width = q.columns / heads
        var weights = DoubleTensor(zeros: [q.rows, k.rows])
        for query in 0..<q.rows {
            var scores = [Double](repeating: -.infinity, count: k.rows)
            for key in 0..<k.rows where mask?.lets(query: query, see: key) ?? true {
                scores[key] = product(q, query, k, key, head: head) / Double(width).squareRoot()
            }
            let largest = scores.reduce(-.infinity) { max($0, $1) }
            let exponentials = scores.map { exp($0 - largest) }
            let sum = exponentials.reduce(0, +)
            for key in 0..<k.rows { weights.values[query * k.rows + key] = exponentials[key] / sum }
        }
        return weights
    }

    /// The product of one head's part of two rows.
    private func product(_ a: DoubleTensor, _ row: Int, _ b: DoubleTensor, _ other: Int, head: Int) -> Double {
        let width = a.columns / heads
        let (first, second) = (row * a.columns + head * width, other * b.columns + head * width)
        var sum = 0.0
        for index in 0..<width { sum += a.values[first + index] * b.values[second + index] }
        return sum
    }

    /// Adds `factor` times one head's part of a row to that of another.
    private func add(
        _ factor: Double, _ a: DoubleTensor, _ row: Int, to b: inout DoubleTensor, _ other: Int, head: Int
    ) {
        let width = a.columns / heads
        let (from, to) = (row * a.columns + head * width, other * b.columns + head * width)
        for index in 0..<width { b.values[to + index] += factor * a.values[from + index] }
    }

    public func callAsFunction(_ q: DoubleTensor, _ k: DoubleTensor, _ v: DoubleTensor) -> DoubleTensor {
        var y = DoubleTensor(zeros: q.shape)
        for head in 0..<heads {
            let weights = weights(q, k, head: head)
            for query in 0..<q.rows {
                for key in 0..<k.rows { add(weights.values[query * k.rows + key], v, key, to: &y, query, head: head) }
            }
        }
        return y
    }

    /// With P the weights: dV = P^T dY, dP = dY V^T, dS = P (dP - row sums of P dP), dQ = dS K / sqrt(d),
    /// dK = dS^T Q / sqrt(d).
    public func gradient(
        _ dy: DoubleTensor, _ q: DoubleTensor, _ k: DoubleTensor, _ v: DoubleTensor
    ) -> (dq: DoubleTensor, dk: DoubleTensor, dv: DoubleTensor) {
        var (dq, dk, dv) = (DoubleTensor(zeros: q.shape), DoubleTensor(zeros: k.shape), DoubleTensor(zeros: v.shape))
        let scale = 1 / Double(q.columns / heads).squareRoot()
        for head in 0..<heads {
            let weights = weights(q, k, head: head)
            for query in 0..<q.rows {
                let row = Array(weights.values[query * k.rows..<(query + 1) * k.rows])
                let slopes = (0..<k.rows).map { product(dy, query, v, $0, head: head) }
                let mean = zip(row, slopes).reduce(0) { $0 + $1.0 * $1.1 }
                for key in 0..<k.rows {
                    add(row[key], dy, query, to: &dv, key, head: head)
                    let slope = row[key] * (slopes[key] - mean) * scale
                    add(slope, k, key, to: &dq, query, head: head)
                    add(slope, q, query, to: &dk, key, head: head)
                }
            }
        }
        return (dq, dk, dv)
    }
}
