import DiffusionModels
import MessagePassing
import Synchronization
import TensorKernels

/// What the ranks of a replica send each other for an evaluation of both branches, in bytes.
///
/// Counted by sending the pass through the very stages and strips, which compute nothing meanwhile, and by encoding the
/// very messages: so it is what a run of the same layout sends, exactly. Without ControlNets and adapters.
public struct PassTraffic: Sendable, Equatable {
    /// Of each rank, for an evaluation that asks for no gradient.
    public let forward: [Int]
    /// Of each rank, there and back.
    public let withGradient: [Int]

    /// - Parameters:
    ///   - latent: the size at which the UNet works.
    ///   - tokens: of a prompt.
    /// - Throws: `Failure` when a stage can't be gone through.
    public init(
        _ unet: UNetConfiguration, _ layout: Layout, latent: (height: Int, width: Int), tokens: Int,
        elementType: ElementType
    ) throws {
        func counted(isRecorded: Bool) throws -> [Int] {
            var sent = [Int](repeating: 0, count: layout.ranksOfReplica)
            for branch in GuidanceBranch.allCases {
                let chain = Chain(unet, layout, latent: latent, tokens: tokens, elementType: elementType)
                for (rank, bytes) in try chain.pass(of: branch, isRecorded: isRecorded) { sent[rank] += bytes }
            }
            return sent
        }
        forward = try counted(isRecorded: false)
        withGradient = try counted(isRecorded: true)
    }
}

/// One branch's way through the stages of a replica.
private struct Chain {
    private let unet: UNetConfiguration
    private let layout: Layout
    private let inputs: BranchInputs
    private let elementType: ElementType
    private let latent: Latent

    init(
        _ unet: UNetConfiguration, _ layout: Layout, latent: (height: Int, width: Int), tokens: Int,
        elementType: ElementType
    ) {
        func zeros(_ channels: Int) -> Latent {
            Latent(
                channels: channels, height: latent.height, width: latent.width,
                values: [Float](repeating: 0, count: channels * latent.height * latent.width))
        }
        self.unet = unet
        self.layout = layout
        self.elementType = elementType
        self.latent = zeros(unet.outputChannels)
        let width = unet.crossAttentionDimension
        inputs = BranchInputs(
            embedding: [Float](repeating: 0, count: tokens * width), tokens: tokens, width: width, mask: zeros(1),
            maskedImageLatent: unet.takesMaskedImage ? zeros(unet.outputChannels) : nil)
    }

    /// A leg on a stage.
    private struct Stop {
        let leg: Leg
        let stage: Int
    }

    /// What each rank of the replica sends for one pass.
    func pass(of branch: GuidanceBranch, isRecorded: Bool) throws -> [Int: Int] {
        let identity = PassIdentity(job: JobIdentity(number: 1), branch: branch, number: 1)
        let settings = PassSettings(timestep: 1, masking: [], isRecorded: isRecorded)
        let (driver, chain) = (layout.chain(of: .unconditional, replica: 0)[0], layout.chain(of: branch, replica: 0))
        let stops = stops(isRecorded: isRecorded)
        var sent: [Int: Int] = [:]
        func send(_ message: StageMessage, from rank: Int, to other: Int) {
            let (head, payload) = message.encoded()
            if rank != other { sent[rank, default: 0] += head.count + (payload?.withUnsafeBytes { $0.count } ?? 0) }
        }
        // What the first strips give goes on from stage to stage, and on each stage to the other strips.
        let values = try through(stops, strip: 0, inputs: nil, identity, settings) { stage, bytes in
            sent[chain[stage], default: 0] += bytes
        }
        for strip in 1..<layout.strips {
            _ = try through(stops, strip: strip, inputs: values, identity, settings) { stage, bytes in
                sent[chain[stage] + strip, default: 0] += bytes
            }
        }
        for (index, stop) in stops.enumerated() {
            let rank = chain[stop.stage]
            let isTurn = index == 0 || stop.leg == .upGradient && stop.stage == 0
            let message = StageMessage.leg(identity, stop.leg, settings, values[index])
            send(message, from: isTurn ? driver : chain[stops[index - 1].stage], to: rank)
            for strip in 1..<layout.strips { send(message, from: rank, to: rank + strip) }
            let isLast = index == stops.count - 1 || stops[index + 1].leg == .upGradient && stops[index + 1].stage == 0
            if isLast {
                let result = StageMessage.result(identity, isGradient: stop.leg.isGradient, latent)
                send(result, from: rank, to: driver)
            }
        }
        // A pass that is over is forgotten by all strips.
        for rank in chain {
            for strip in 1..<layout.strips { send(.discard(identity), from: rank, to: rank + strip) }
        }
        return sent
    }

    /// In their order.
    private func stops(isRecorded: Bool) -> [Stop] {
        let stages = layout.stages.indices
        func thereAndBack(_ there: Leg, _ back: Leg) -> [Stop] {
            stages.map { Stop(leg: there, stage: $0) } + stages.dropLast().reversed().map { Stop(leg: back, stage: $0) }
        }
        return thereAndBack(.down, .up) + (isRecorded ? thereAndBack(.upGradient, .downGradient) : [])
    }

    /// Runs one strip of every stage.
    ///
    /// - Parameters:
    ///   - inputs: of every stop; nil for what comes of the one before.
    ///   - gave: how many bytes the strip of a stage gives other strips.
    /// - Returns: the inputs.
    private func through(
        _ stops: [Stop], strip: Int, inputs: [StageValue]?, _ pass: PassIdentity, _ settings: PassSettings,
        gave: (_ stage: Int, _ bytes: Int) -> Void
    ) throws -> [StageValue] {
        let context = try ComputeContext(countingIn: elementType)
        let exchanges = layout.stages.map { _ in CountingExchange(strip: strip) }
        let passes = try zip(layout.stages, exchanges).map { rungs, exchange in
            let stage = UNetStage(unet, rungs: rungs, weights: RecordingWeights())
            let evaluator = UNetStageEvaluator(
                stage, context: context, strips: layout.strips, exchange: layout.strips > 1 ? exchange : nil)
            try evaluator.open(pass.job, pass.branch, rungs.lowerBound == 0 ? self.inputs : self.inputs.belowFirstStage)
            return try evaluator.begin(pass, settings)
        }
        var taken: [StageValue] = []
        var value = StageValue.latent(latent)
        for (index, stop) in stops.enumerated() {
            let comesFromDriver = index == 0 || stop.leg == .upGradient && stop.stage == 0
            value = inputs?[index] ?? (comesFromDriver ? .latent(latent) : value)
            taken.append(value)
            value = try passes[stop.stage].run(stop.leg, value)
        }
        for (stage, exchange) in exchanges.enumerated() { gave(stage, exchange.bytes) }
        return taken
    }
}

/// Counts what a strip gives, and gets nothing.
private final class CountingExchange: StripExchange {
    let strip: Int
    private let given = Mutex(0)

    init(strip: Int) { self.strip = strip }

    var bytes: Int { given.withLock { $0 } }

    func exchange(
        _ outgoing: [(strip: Int, bytes: StripBytes)],
        _ incoming: [(strip: Int, target: UnsafeMutableRawBufferPointer)]
    ) {
        given.withLock { $0 += outgoing.reduce(0) { $0 + $1.bytes.count } }
    }
}
