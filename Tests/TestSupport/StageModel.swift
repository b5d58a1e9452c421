import DiffusionModels
import Failures
import Foundation
import MessagePassing
import NeuralLayers
import ShardedRuntime
import Synchronization
import TensorKernels

/// One of the tiny models of the fixtures, cut as a layout says, for tests of the runtime.
public struct StageModel: Sendable {
    public let folder: ModelFolder
    public let configuration: UNetConfiguration

    /// - Parameter name: `sd1`, `sd2` or `odd`.
    public init(fixture name: String) throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        folder = try ModelFolder(tests.path() + "/DiffusionModelsTests/Fixtures/models/\(name)")
        configuration = try folder.unetConfiguration()
    }

    /// A layout with the ladder cut into runs of about as many rungs.
    public func layout(
        replicas: Int = 1, branches: Int, stages: Int, strips: Int = 1, sharesPictures: Bool = false
    ) throws -> Layout {
        let costs = [Double](repeating: 1, count: configuration.rungCount)
        guard let cuts = StageCuts.balanced(costs: costs, stages: stages) else {
            throw Failure.usage("\(configuration.rungCount) rungs can't make \(stages) stages")
        }
        return Layout(
            replicas: replicas, branches: branches, stages: cuts, strips: strips, pictureStage: stages - 1,
            sharesPictures: sharesPictures)
    }

    /// What computes on a rank of the layout.
    ///
    /// - Parameters:
    ///   - wires: the ways to other strips.
    ///   - failing: a branch whose last stage throws bad data on its way.
    ///   - beforePass: called on the compute thread before each pass of this rank, with its number from 1.
    public func workers(
        of rank: Int, in layout: Layout, wires: StripWires, threads: Int = 1, elementType: ElementType = .float32,
        failing: GuidanceBranch? = nil, beforePass: (@Sendable (Int) -> Void)? = nil
    ) async throws -> StageWorkers {
        let thread = try DedicatedThread(name: "rank \(rank)")
        let rungs = layout.place(of: rank).map { layout.stages[$0.stage] }
        return try await thread.run { [folder, configuration] in
            let context = try ComputeContext(threads: threads, elementType: elementType, grain: 1)
            let stage = UNetStage(
                configuration, rungs: rungs, weights: CheckpointWeights(try folder.weights(of: .unet)))
            let loader = PictureNetworks.Loader(
                textEncoder: {
                    TextEncoder(
                        try folder.textEncoderConfiguration(),
                        weights: CheckpointWeights(try folder.weights(of: .textEncoder)))
                },
                autoencoder: {
                    Autoencoder(
                        try folder.vaeConfiguration(), weights: CheckpointWeights(try folder.weights(of: .vae)))
                })
            let plain = UNetStageEvaluator(stage, context: context, strips: layout.strips, exchange: wires.stage)
            let evaluator: any StageEvaluator = beforePass.map { HookedEvaluator(plain, beforePass: $0) } ?? plain
            return StageWorkers(
                stage: failing.map { FailingEvaluator(evaluator, failing: $0) } ?? evaluator,
                pictures: PictureNetworks(
                    loader, keepsNetworks: true, context: context,
                    strips: layout.pictureTeam(of: 0).count, exchange: wires.pictures),
                thread: thread, wires: wires)
        }
    }
}

/// A stage that throws bad data wherever a branch would turn round on the last stage.
private struct FailingEvaluator: StageEvaluator {
    private let evaluator: any StageEvaluator
    private let failing: GuidanceBranch

    init(_ evaluator: any StageEvaluator, failing: GuidanceBranch) {
        self.evaluator = evaluator
        self.failing = failing
    }

    var isLast: Bool { evaluator.isLast }
    func open(_ job: JobIdentity, _ branch: GuidanceBranch, _ inputs: BranchInputs) throws {
        try evaluator.open(job, branch, inputs)
    }
    func close(_ job: JobIdentity) { evaluator.close(job) }
    func begin(_ pass: PassIdentity, _ settings: PassSettings) throws -> any StageComputation {
        if isLast && pass.branch == failing { throw Failure.badData("unet.safetensors: broken") }
        return try evaluator.begin(pass, settings)
    }
}

/// A stage that does something before each pass.
private final class HookedEvaluator: StageEvaluator {
    private let evaluator: any StageEvaluator
    private let beforePass: @Sendable (Int) -> Void
    private let count = Atomic(0)

    init(_ evaluator: any StageEvaluator, beforePass: @escaping @Sendable (Int) -> Void) {
        self.evaluator = evaluator
        self.beforePass = beforePass
    }

    var isLast: Bool { evaluator.isLast }
    func open(_ job: JobIdentity, _ branch: GuidanceBranch, _ inputs: BranchInputs) throws {
        try evaluator.open(job, branch, inputs)
    }
    func close(_ job: JobIdentity) { evaluator.close(job) }
    func begin(_ pass: PassIdentity, _ settings: PassSettings) throws -> any StageComputation {
        beforePass(count.wrappingAdd(1, ordering: .relaxed).newValue)
        return try evaluator.begin(pass, settings)
    }
}
