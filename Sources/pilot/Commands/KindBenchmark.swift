import DiffusionModels
import Failures
import Foundation
import InpaintingJobs
import MessagePassing
import NeuralLayers
import ShardedRuntime
import TensorKernels

/// `pilot model benchmark --by-kind`: what one branch's pass spends on products of each kind, and how near to the
/// processor's limit these are.
struct KindBenchmark {
    let model: ModelDescription
    let geometry: JobGeometry
    let inputs: BranchInputs
    let latent: Latent
    let timestep: Int
    let rank: RankComputation

    /// One way through the network.
    struct Way: Sendable {
        let name: String
        let seconds: Double
        /// What a network of direct convolutions would have to do.
        let counted: Double
        let kinds: [ProductMeter.Kind: ProductMeter.Sum]
    }

    /// Ways of the last of so many passes, and what the processor can do, in operations a second.
    ///
    /// - Throws: `Failure` when the model can't be read.
    func run(passes: Int) async throws -> (ways: [Way], peak: Double) {
        let compute = try await ComputeThread(rank)
        return try await compute.thread.run {
            let meter = ProductMeter()
            let context = compute.networkContext.with(meter)
            let evaluator = UNetStageEvaluator(try model.unet(), context: context)
            let job = JobIdentity(number: 1)
            try evaluator.open(job, .conditional, inputs)
            let work = try model.costs(geometry, context.elementType).total
            var ways: [Way] = []
            for number in 1...passes {
                let pass = PassIdentity(job: job, branch: .conditional, number: UInt32(number))
                let computation = try evaluator.begin(
                    pass, PassSettings(timestep: timestep, masking: [], isRecorded: true))
                func way(_ name: String, _ leg: Leg, _ counted: Double) throws -> Way {
                    _ = meter.take()
                    let start = ContinuousClock.now
                    _ = try computation.run(leg, .latent(latent))
                    return Way(
                        name: name, seconds: (ContinuousClock.now - start) / .seconds(1), counted: counted,
                        kinds: meter.take())
                }
                ways = [
                    try way("forward", .down, work.operations),
                    try way("gradient", .upGradient, work.ofGradient.operations),
                ]
            }
            return (ways, context.peakOperationsPerSecond())
        }
    }
}

/// The ways as tables.
struct KindReport {
    let ways: [KindBenchmark.Way]
    let peak: Double

    var text: String {
        ways.map(table).joined(separator: "\n\n")
            + String(format: "\n\nThe processor's limit, measured in registers: %.0f GFLOP/s", peak / 1e9)
    }

    private func table(_ way: KindBenchmark.Way) -> String {
        let products = ProductMeter.Kind.allCases.map { kind -> [String] in
            let sum = way.kinds[kind] ?? ProductMeter.Sum()
            return row(kind.rawValue, sum.seconds, sum.operations, way.seconds)
        }
        let all = way.kinds.values.reduce(into: ProductMeter.Sum()) {
            $0.seconds += $1.seconds
            $0.operations += $1.operations
        }
        let rest = way.seconds - all.seconds
        let rows =
            products + [
                ["all else", String(format: "%.3f", rest), percent(rest / way.seconds), "", "", ""],
                row("all", way.seconds, all.operations, way.seconds),
            ]
        let heading = String(
            format: "%@: %.3g GFLOP by direct convolutions, %.3g done", way.name, way.counted / 1e9,
            all.operations / 1e9)
        return heading + "\n"
            + TextTable(
                header: [way.name, "s", "of the time", "GFLOP done", "GFLOP/s", "of the limit"], rows: rows,
                words: ["forward", "gradient"]
            ).text
    }

    private func row(_ name: String, _ seconds: Double, _ operations: Double, _ whole: Double) -> [String] {
        let speed = seconds > 0 ? operations / seconds : 0
        return [
            name, String(format: "%.3f", seconds), percent(seconds / whole), String(format: "%.1f", operations / 1e9),
            String(format: "%.0f", speed / 1e9), percent(speed / peak),
        ]
    }

    private func percent(_ share: Double) -> String { String(format: "%.0f %%", 100 * share) }
}
