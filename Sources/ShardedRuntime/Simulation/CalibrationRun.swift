import DiffusionModels
import Failures
import NeuralLayers
import TensorKernels

/// Measures how fast this machine computes a model: the UNet's own rungs at a size, each leg by itself.
///
/// For the thread that computes alone.
public struct CalibrationRun {
    /// Each leg is timed so often, after once for what is prepared then, and the mean is taken: what disturbs a leg here
    /// now and then disturbs those of a job as well.
    private static let repetitions = 5
    private static let timestep = 500

    private let costs: LadderCosts
    private let context: ComputeContext
    private let stage: (Range<Int>) throws -> UNetStage
    private let caches = Caches()

    /// - Parameters:
    ///   - costs: of the model at the size to measure.
    ///   - stage: loads rungs of the UNet.
    public init(_ costs: LadderCosts, in context: ComputeContext, stage: @escaping (Range<Int>) throws -> UNetStage) {
        self.costs = costs
        self.context = context
        self.stage = stage
    }

    /// Seconds of each rung's legs.
    public func ladder(progress: (Int) -> Void = { _ in }) throws -> Calibration.MeasuredLadder {
        let total = costs.total
        var ladder = Calibration.MeasuredLadder(
            operations: total.doneOperations, parameters: total.parameters, down: [], up: [], upGradient: [],
            downGradient: [])
        for rung in 0..<costs.rungCount {
            progress(rung)
            let seconds = try rungSeconds(rung)
            ladder.down.append(seconds[0])
            ladder.up.append(seconds[1])
            ladder.upGradient.append(seconds[2])
            ladder.downGradient.append(seconds[3])
        }
        return ladder
    }

    /// Seconds of the four legs of one rung.
    public func rungSeconds(_ rung: Int) throws -> [Double] {
        let stage = try stage(rung..<rung + 1)
        let timestep = try stage.timeMemory(timestep: Self.timestep, in: context)
        let width = stage.configuration.crossAttentionDimension
        let embedding = random([costs.promptElements / width, width])
        let conditioning = Conditioning(prompt: PromptMemory(embedding: embedding), time: timestep) { _, _ in (nil, nil)
        }
        func time() throws -> [Double] {
            try legs(of: rung, StagePass(of: stage, conditioning, isRecorded: true, in: context))
        }
        _ = try time()
        let times = try (0..<Self.repetitions).map { _ in try time() }
        return Leg.allCases.indices.map { leg in times.map { $0[leg] }.reduce(0, +) / Double(Self.repetitions) }
    }

    private func legs(of rung: Int, _ pass: StagePass) throws -> [Double] {
        let (skip, output) = (costs.rungs[rung].skip, costs.rungs[rung].output)
        let isLast = rung + 1 == costs.rungCount
        let first = [skip[0], skip[1], costs.latentElements / (skip[0] * skip[1])]
        let input = random(rung == 0 ? first : costs.rungs[rung - 1].skip)
        let fromBelow = random(isLast ? skip : costs.rungs[rung + 1].output)
        let gradientFromAbove = random(output)
        let gradientFromBelow = random(skip)
        var seconds: [Double] = []
        let bottom = try measure(&seconds) { try pass.down(input) }
        _ = try measure(&seconds) { try pass.up(isLast ? bottom : fromBelow) }
        let gradient = try measure(&seconds) { try pass.upGradient(gradientFromAbove) }
        _ = try measure(&seconds) { try pass.downGradient(isLast ? gradient : gradientFromBelow) }
        return seconds
    }

    private func measure<Value>(_ seconds: inout [Double], _ body: () throws -> Value) rethrows -> Value {
        caches.clear()
        let start = ContinuousClock.now
        let value = try body()
        seconds.append((ContinuousClock.now - start) / .seconds(1))
        return value
    }

    private func random(_ shape: [Int]) -> Tensor {
        var generator = TorchGenerator(seed: 0)
        return Tensor(
            generator.randn(shape.reduce(1, *)), shape: shape, in: context.with(elementType: .float32))
    }

    /// The rates at which counted operations come nearest to what was measured, in proportion.
    public func rates(_ ladder: Calibration.MeasuredLadder) -> Calibration.Rates {
        var works: [Work] = []
        var seconds: [Double] = []
        for (rung, cost) in costs.rungs.enumerated() {
            let down = rung + 1 == costs.rungCount ? cost.down + costs.middle : cost.down
            let upGradient = rung + 1 == costs.rungCount ? cost.up + costs.middle : cost.up
            works += [down, cost.up, upGradient.ofGradient, cost.down.ofGradient]
            seconds += [ladder.down[rung], ladder.up[rung], ladder.upGradient[rung], ladder.downGradient[rung]]
        }
        let columns =
            [works.map(\.doneConvolutions), works.map(\.linear), works.map(\.attention)]
            + [works.map { Double($0.weightsRead) }]
        let rates = NonNegativeFit.solve(columns: columns, values: seconds)
        let least = 1e-15
        return Calibration.Rates(
            convolution: max(least, rates[0]), linear: max(least, rates[1]), attention: max(least, rates[2]),
            weight: rates[3])
    }

    /// The built-in rates of the networks around the UNet, made to agree with how long a decoding takes here.
    ///
    /// - Parameters:
    ///   - costs: at the size that is decoded, which may be smaller than the one that is planned for.
    public static func pictureRates(decodingSeconds: Double, _ costs: LadderCosts) -> Calibration.Rates {
        let rates = Calibration.builtIn.speeds[0].pictures
        return rates * (decodingSeconds / rates.seconds(costs.pictures.decode))
    }
}

/// The processor's caches, which hold nothing of a leg's weights when it begins: between two legs of one rung, a pass
/// goes through all others.
private final class Caches {
    /// More than caches hold.
    private static let byteCount = 256 << 20
    private static let lineBytes = 64

    private var filler = [UInt8](repeating: 0, count: byteCount)

    func clear() {
        filler.withUnsafeMutableBytes { bytes in
            for line in stride(from: 0, to: bytes.count, by: Self.lineBytes) { bytes[line] &+= 1 }
        }
    }
}

/// Least squares of relative errors with no negative unknown, by coordinate descent.
enum NonNegativeFit {
    /// - Parameters:
    ///   - columns: what each unknown is multiplied by, in each equation.
    ///   - values: above 0.
    static func solve(columns: [[Double]], values: [Double]) -> [Double] {
        let scaled = columns.map { column in zip(column, values).map { $1 > 0 ? $0 / $1 : 0 } }
        var solution = [Double](repeating: 0, count: columns.count)
        var rest = values.map { $0 > 0 ? 1.0 : 0 }
        for _ in 0..<2000 {
            for (unknown, column) in scaled.enumerated() {
                let square = column.reduce(0) { $0 + $1 * $1 }
                guard square > 0 else { continue }
                let slope = zip(column, rest).reduce(0) { $0 + $1.0 * $1.1 }
                let next = max(0, solution[unknown] + slope / square)
                let change = next - solution[unknown]
                solution[unknown] = next
                for index in rest.indices { rest[index] -= change * column[index] }
            }
        }
        return solution
    }
}
