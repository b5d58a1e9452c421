import ArgumentParser
import DiffusionModels
import Failures
import Foundation
import InpaintingJobs
import MessagePassing
import ShardedRuntime
import TensorKernels

/// `pilot model benchmark`
struct ModelBenchmark: RankedCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmark",
        abstract: "Times the UNet on both guidance branches, as a step of a job runs it.",
        discussion: """
            Under mpirun -np 2 each rank has a branch; on one rank they follow each other. Latent and embeddings are \
            random. Prints a JSON object per pass; the first pass also pays for loading and for the libraries' \
            preparations, so leave it out of a mean.
            """)

    @Option(
        help: ArgumentHelp(
            "A Stable Diffusion 1.x or 2.x model, a folder in the diffusers layout or a single file; without it, as for "
                + "pilot inpaint.", valueName: "folder or file"), completion: .file())
    var model: String?

    @OptionGroup var parts: ModelOptions

    @Option(help: "The picture's size; without it, the size that the model was trained at.")
    var size: PictureSize?

    @Option(help: ArgumentHelp("How many passes to time (default: 3).", valueName: "n"), transform: whole(1...10_000))
    var passes = 3

    @Flag(help: "Time the gradient with respect to the latent too.")
    var gradient = false

    @Flag(help: "Time the autoencoder's decoding of a latent too.")
    var decode = false

    @Flag(
        help: ArgumentHelp(
            "Print instead, of one branch's last pass and its gradient, what products of each kind take and how near to "
                + "the processor's limit they are. On one rank."))
    var byKind = false

    @Option(help: "The timestep to evaluate at (default: 500).", transform: whole(0...999))
    var timestep = 500

    @Flag(help: "Write over a trace that is there already.")
    var overwrite = false

    @OptionGroup var computation: ComputationOptions

    func run(on communicator: any Communicator) async throws {
        let model = try JobModel(parts.choice(model), warn: Console.warn)
        let geometry = try model.description.geometry(size)
        var chosen = Computation()
        computation.apply(to: &chosen)
        let rank = try await computation.rank(computing: chosen, on: communicator)
        var files = FileClaims()
        try computation.checkFiles(in: &files, overwrites: overwrite)
        let trial = Trial(geometry, model.description, timestep: timestep)
        guard !byKind else {
            try await printKinds(of: trial, geometry, model.description, rank, ranks: communicator.size)
            return try await RankOrder.nothing.give(to: communicator)
        }
        let setup = try computation.setup(
            model, rank, ranks: communicator.size, latent: (geometry.latentHeight, geometry.latentWidth),
            tokens: model.contextLength, pictures: 1)
        let engine = try await ShardedEngine(setup, communicator: communicator)
        let predictor = try await engine.predictor(for: trial.inputs)
        for pass in 1...passes {
            var result = try await trial.run(on: predictor, gradient: gradient)
            result.pass = pass
            if decode { result.decodeSeconds = try await trial.decode(on: engine) }
            result.peakBytesPerRank = try await engine.reports().map(\.peakMemoryBytes)
            guard try Console.print(try result.line()) else { break }
        }
        predictor.close()
        try await computation.writeFiles(engine, try await engine.reports())
        engine.stop()
    }

    private func printKinds(
        of trial: Trial, _ geometry: JobGeometry, _ model: ModelDescription, _ rank: RankComputation, ranks: Int
    ) async throws {
        guard ranks == 1 else {
            throw Failure.usage("--by-kind: measures one rank, and there are \(ranks); start it without mpirun")
        }
        let benchmark = KindBenchmark(
            model: model, geometry: geometry, inputs: trial.inputs[GuidanceBranch.conditional.rawValue],
            latent: trial.latent, timestep: timestep, rank: rank)
        let (ways, peak) = try await benchmark.run(passes: passes)
        _ = try Console.print(KindReport(ways: ways, peak: peak).text)
    }
}

/// What one pass of both branches took.
private struct PassResult: Encodable {
    var pass = 0
    let forwardSeconds: Double
    let backwardSeconds: Double
    var decodeSeconds: Double?
    /// The high-water marks so far.
    var peakBytesPerRank: [Int] = []

    enum CodingKeys: String, CodingKey {
        case pass
        case forwardSeconds = "forward_seconds"
        case backwardSeconds = "backward_seconds"
        case decodeSeconds = "decode_seconds"
        case peakBytesPerRank = "peak_bytes_per_rank"
    }

    func line() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}

/// Random inputs for both branches of guidance.
private struct Trial: Sendable {
    /// Of each branch, in their order.
    let inputs: [BranchInputs]
    let latent: Latent
    private let seeds: [GuidanceBranch: Latent]
    private let timestep: Int

    init(_ geometry: JobGeometry, _ model: ModelDescription, timestep: Int) {
        var generator = TorchGenerator(seed: 0)
        let channels = model.unetConfiguration.outputChannels
        let (height, width) = (geometry.latentHeight, geometry.latentWidth)
        let tokens = model.textConfiguration.maximumPositions
        let embeddingWidth = model.textConfiguration.hiddenSize
        func normal() -> Latent {
            Latent(
                channels: channels, height: height, width: width, values: generator.randn(channels * height * width))
        }
        self.timestep = timestep
        latent = normal()
        var seeds: [GuidanceBranch: Latent] = [:]
        var inputs: [BranchInputs] = []
        for branch in GuidanceBranch.allCases {
            seeds[branch] = normal()
            inputs.append(
                BranchInputs(
                    embedding: generator.randn(tokens * embeddingWidth), tokens: tokens, width: embeddingWidth,
                    mask: Latent(channels: 1, height: height, width: width),
                    maskedImageLatent: model.unetConfiguration.takesMaskedImage ? normal() : nil))
        }
        self.seeds = seeds
        self.inputs = inputs
    }

    func run(on predictor: StagePredictor, gradient: Bool) async throws -> PassResult {
        gradient ? try await forwardAndBackward(predictor) : try await forward(predictor)
    }

    /// Seconds of one decoding.
    func decode(on engine: ShardedEngine) async throws -> Double {
        let start = ContinuousClock.now
        let pictures = try await engine.decode([latent])
        let taken = seconds(since: start)
        guard pictures.joined().allSatisfy(\.isFinite) else {
            throw Failure.internalFault("the decoded picture is NaN or infinite: is the model sound?")
        }
        return taken
    }

    private func forward(_ predictor: StagePredictor) async throws -> PassResult {
        let start = ContinuousClock.now
        async let unconditional = noise(.unconditional, predictor)
        async let conditional = noise(.conditional, predictor)
        try check(try await unconditional, try await conditional)
        return PassResult(forwardSeconds: seconds(since: start), backwardSeconds: 0)
    }

    private func forwardAndBackward(_ predictor: StagePredictor) async throws -> PassResult {
        let start = ContinuousClock.now
        async let unconditional = noiseWithPullback(.unconditional, predictor)
        async let conditional = noiseWithPullback(.conditional, predictor)
        let (first, second) = (try await unconditional, try await conditional)
        let forward = seconds(since: start)
        let middle = ContinuousClock.now
        async let firstGradient = first.pullback(seed(.unconditional))
        async let secondGradient = second.pullback(seed(.conditional))
        try check(try await firstGradient, try await secondGradient)
        return PassResult(forwardSeconds: forward, backwardSeconds: seconds(since: middle))
    }

    private func noise(_ branch: GuidanceBranch, _ predictor: StagePredictor) async throws -> Latent {
        try await predictor.noise(Evaluation(branch: branch, latent: latent, timestep: timestep, masking: []))
    }

    private func noiseWithPullback(
        _ branch: GuidanceBranch, _ predictor: StagePredictor
    ) async throws -> (noise: Latent, pullback: @Sendable (Latent) async throws -> Latent) {
        try await predictor.noiseWithPullback(
            Evaluation(branch: branch, latent: latent, timestep: timestep, masking: []))
    }

    private func seed(_ branch: GuidanceBranch) -> Latent { seeds[branch] ?? latent }

    /// A time means nothing when the numbers do not.
    private func check(_ results: Latent...) throws {
        guard results.allSatisfy(\.isFinite) else {
            throw Failure.internalFault("the UNet's result is NaN or infinite on random inputs: is the model sound?")
        }
    }

    private func seconds(since start: ContinuousClock.Instant) -> Double {
        (ContinuousClock.now - start) / .seconds(1)
    }
}
