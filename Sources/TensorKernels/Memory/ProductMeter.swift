import CVectorKernels
import Synchronization

/// How long products of each kind take, and how much they compute.
public final class ProductMeter: Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        /// Of kernels larger than 1.
        case convolution
        /// Linear layers, and convolutions of kernel 1, which are the same.
        case linear
        case attention
    }

    public struct Sum: Sendable, Equatable {
        public var seconds = 0.0
        /// Multiplications and additions that are really done in products.
        public var operations = 0.0

        public init() {}
    }

    private let sums = Mutex<[Kind: Sum]>([:])

    public init() {}

    /// What was measured since the last call.
    public func take() -> [Kind: Sum] {
        sums.withLock { sums in
            defer { sums = [:] }
            return sums
        }
    }

    fileprivate func add(_ kind: Kind, seconds: Double, operations: Double) {
        sums.withLock { sums in
            sums[kind, default: Sum()].seconds += seconds
            sums[kind, default: Sum()].operations += operations
        }
    }
}

extension ComputeContext {
    /// Runs `body`, whose time counts as a product's where this context has a meter.
    package func measured<Result>(
        _ kind: ProductMeter.Kind, operations: Double, _ body: () throws -> Result
    ) rethrows -> Result {
        guard let meter else { return try body() }
        let start = ContinuousClock.now
        let result = try body()
        meter.add(kind, seconds: (ContinuousClock.now - start) / .seconds(1), operations: operations)
        return result
    }

    /// Operations a second that the context's threads can do together in products of its element type, measured with
    /// numbers that stay in registers.
    public func peakOperationsPerSecond() -> Double {
        let numbers = [Float](repeating: 1e-3, count: 64)
        func seconds(_ rounds: Int) -> Double {
            let start = ContinuousClock.now
            parallel(threads, of: 1 << 30) { _ in
                _ = kernels.peak(elementType.kernelType, rounds, numbers)
            }
            return (ContinuousClock.now - start) / .seconds(1)
        }
        // Cores get to their speed, and the best of several is what they can do.
        let rounds = 2_000_000
        let best = (0..<8).map { _ in seconds(rounds) }.min() ?? 1
        return Double(threads * rounds * kernels.peak_operations(elementType.kernelType)) / best
    }
}
