import DiffusionModels
import Failures
import NeuralLayers
import Synchronization
import TensorKernels

/// A stage of the UNet, or the strip of it that is this rank's, for any number of jobs at once.
public final class UNetStageEvaluator: StageEvaluator {
    private let stage: UNetStage
    /// The shares of the nets that go down beside the UNet.
    private let controls: [ControlStage]
    /// Of each IP-Adapter, what the stage's layers of cross-attention make keys and values with, by their names.
    private let images: [[String: ImageProjection]]
    private let context: ComputeContext
    private let exchange: (any StripExchange)?
    private let strips: Int
    private let store: WeightStore?
    private let state = Mutex(State())

    private struct State {
        var branches: [JobIdentity: [GuidanceBranch: Branch]] = [:]
        var times = RecentTimes()
        /// The sizes `[h, w]` for which the weights are laid out.
        var laidOut: Set<[Int]> = []
    }

    private struct Branch {
        let prompt: PromptMemory
        let masks: MaskPyramid
        /// Of `BranchInputs`; on the first stage alone, which has the latent.
        let planesBehindLatent: [Float]
        let controls: [Control]
        /// Of each T2I-Adapter, what is added on rungs of this stage, by the rung of the ladder.
        let features: [[Int: Tensor]]
        /// The pictures that are seen beside the prompt.
        let images: [ImageMemory]
        /// With the strips of pictures of the job's size.
        let context: ComputeContext

        /// What a net works with.
        struct Control {
            let inputs: ControlInputs
            /// A memory of the net's own: its layers are named as the UNet's are.
            let prompt: PromptMemory
            /// The map; on the first stage.
            let embedding: Tensor?
        }
    }

    /// - Parameters:
    ///   - controls: with the same rungs as the stage.
    ///   - images: of each IP-Adapter, of the same rungs.
    ///   - context: what this rank computes with.
    ///   - strips: among how many ranks a picture's rows are dealt.
    ///   - exchange: the way to the others; nil where there are none.
    ///   - store: of the stage's weights, which ranks that share it lay out together.
    public init(
        _ stage: UNetStage, controls: [ControlStage] = [], images: [[String: ImageProjection]] = [],
        context: ComputeContext, strips: Int = 1, exchange: (any StripExchange)? = nil, store: WeightStore? = nil
    ) {
        self.stage = stage
        self.controls = controls
        self.images = images
        self.context = context
        self.strips = strips
        self.exchange = exchange
        self.store = store
    }

    public var isLast: Bool { stage.isLast }

    public func passedOn(_ inputs: BranchInputs) -> BranchInputs { inputs.below(stage.rungs, of: stage.configuration) }

    public func open(_ job: JobIdentity, _ branch: GuidanceBranch, _ inputs: BranchInputs) throws {
        let width = stage.configuration.crossAttentionDimension
        guard inputs.width == width else {
            throw Failure.badData(
                "the text encoder's states are \(inputs.width) wide, the UNet's cross-attention expects \(width): "
                    + "text_encoder/config.json hidden_size and unet/config.json cross_attention_dim must agree")
        }
        guard stage.configuration.takesMaskedImage == (inputs.maskedImageLatent != nil) else {
            throw Failure.internalFault(
                "the UNet takes \(stage.configuration.inputChannels) channels, and job \(job.number) has "
                    + "\(inputs.maskedImageLatent == nil ? "no" : "a") masked image for it")
        }
        let embedding = Tensor(inputs.embedding, shape: [inputs.tokens, inputs.width], in: context)
        guard inputs.controls.count == controls.count else {
            throw Failure.internalFault(
                "job \(job.number) has inputs for \(inputs.controls.count) ControlNets, of which there are "
                    + "\(controls.count)")
        }
        let images = try imageMemories(inputs, of: job)
        let known = state.withLock { $0.branches[job]?.values.first }
        let prepared = Branch(
            prompt: PromptMemory(embedding: embedding),
            masks: MaskPyramid(mask: inputs.mask, chunkLength: inputs.chunkLength),
            planesBehindLatent: stage.isFirst ? inputs.planesBehindLatent : [],
            controls: try controls.indices.map { number in
                Branch.Control(
                    inputs: inputs.controls[number], prompt: PromptMemory(embedding: embedding),
                    embedding: try embedded(inputs.controls[number], of: number, known?.controls[number]))
            },
            // The same on both branches.
            features: try known?.features
                ?? inputs.adapters.map { try stage.features($0, mask: inputs.mask, in: context) },
            images: images, context: context(of: inputs))
        state.withLock { $0.branches[job, default: [:]][branch] = prepared }
    }

    /// Lays out the UNet's weights for pictures of this size, together with the ranks that share them. A pass would have one
    /// rank lay out what the others wait for, layer after layer.
    public func prepare(for inputs: BranchInputs) throws {
        let size = [inputs.mask.height, inputs.mask.width]
        guard let store, store.isShared, state.withLock({ $0.laidOut.insert(size).inserted }) else { return }
        let idle = ComputeContext(layingOutFor: context)
        let masks = MaskPyramid(mask: inputs.mask, chunkLength: inputs.chunkLength)
        let embedding = Tensor(inputs.embedding, shape: [inputs.tokens, inputs.width], in: idle)
        let conditioning = Conditioning(
            prompt: PromptMemory(embedding: embedding), time: try stage.timeMemory(timestep: 1, in: idle),
            masks: { masks.masks([], height: $0, width: $1) })
        try stage.goThrough(conditioning, height: size[0], width: size[1], in: idle)
    }

    private func imageMemories(_ inputs: BranchInputs, of job: JobIdentity) throws -> [ImageMemory] {
        guard inputs.images.count == images.count, inputs.images.allSatisfy({ $0.tokens.width == inputs.width }) else {
            throw Failure.internalFault(
                "job \(job.number) has \(inputs.images.count) pictures to see, with tokens of "
                    + "\(inputs.images.map(\.tokens.width)) channels, for \(images.count) IP-Adapters")
        }
        return zip(inputs.images, images).map { image, projections in
            ImageMemory(
                tokens: Tensor(image.tokens.values, shape: [image.tokens.height, image.tokens.width], in: context),
                projections: projections, scale: image.scale)
        }
    }

    private func context(of inputs: BranchInputs) -> ComputeContext {
        guard let exchange else { return context }
        let grid = StripGrid(
            height: inputs.mask.height, width: inputs.mask.width,
            halvings: stage.configuration.blockChannels.count - 1, strips: strips)
        return context.with(grid, exchange)
    }

    /// The map as the net's first rung takes it.
    ///
    /// - Parameter known: what the job's other branch has, whose map is the same.
    private func embedded(_ inputs: ControlInputs, of number: Int, _ known: Branch.Control?) throws -> Tensor? {
        guard stage.isFirst else { return nil }
        guard let map = inputs.map else { throw Failure.internalFault("ControlNet \(number + 1) came without its map") }
        if let known, known.inputs.map == map { return known.embedding }
        return try controls[number].embedded(map, in: context)
    }

    public func close(_ job: JobIdentity) { state.withLock { $0.branches[job] = nil } }

    public func begin(_ pass: PassIdentity, _ settings: PassSettings) throws -> any StageComputation {
        guard let branch = state.withLock({ $0.branches[pass.job]?[pass.branch] }) else {
            throw Failure.internalFault("the \(pass.branch) branch of job \(pass.job.number) is not open")
        }
        let masks = branch.masks
        let times = try timeMemories(settings.timestep)
        // Nets see the prompt alone.
        func conditioning(
            _ prompt: PromptMemory, _ time: TimeMemory, images: [ImageMemory] = []
        ) -> Conditioning {
            Conditioning(
                prompt: prompt, time: time, images: images,
                masks: { masks.masks(settings.masking, height: $0, width: $1) })
        }
        let acting = settings.controls.numbers(of: controls.count).map { number in
            let control = branch.controls[number]
            return ControlConditioning(
                controls[number], layers: conditioning(control.prompt, times.controls[number]),
                embedding: control.embedding, scale: control.inputs.scale, guesses: control.inputs.guesses)
        }
        let features = settings.adapters.numbers(of: branch.features.count).reduce(into: [Int: [Tensor]]()) {
            all, number in
            for (rung, feature) in branch.features[number] { all[rung, default: []].append(feature) }
        }
        return UNetStageComputation(
            pass: StagePass(
                of: stage, conditioning(branch.prompt, times.unet, images: branch.images), controls: acting,
                features: features, isRecorded: settings.isRecorded, in: branch.context),
            stage: stage, planesBehindLatent: branch.planesBehindLatent, context: branch.context)
    }

    private func timeMemories(_ timestep: Int) throws -> TimeMemories {
        if let known = state.withLock({ $0.times.memories(of: timestep) }) { return known }
        let memories = TimeMemories(
            unet: try stage.timeMemory(timestep: timestep, in: context),
            controls: try controls.map { try $0.timeMemory(timestep: timestep, in: context) })
        state.withLock { $0.times.keep(memories, of: timestep) }
        return memories
    }
}

/// A timestep as each network embeds it.
private struct TimeMemories {
    let unet: TimeMemory
    let controls: [TimeMemory]
}

/// What is known of the timesteps asked for lately: both branches and all gradient steps of a timestep share it, and
/// the jobs under way are at timesteps of their own.
private struct RecentTimes {
    private static let limit = 32
    private var memories: [(timestep: Int, memories: TimeMemories)] = []

    func memories(of timestep: Int) -> TimeMemories? { memories.first { $0.timestep == timestep }?.memories }

    mutating func keep(_ memories: TimeMemories, of timestep: Int) {
        if self.memories.count == Self.limit { self.memories.removeFirst() }
        self.memories.append((timestep, memories))
    }
}

private final class UNetStageComputation: StageComputation {
    private let pass: StagePass
    private let stage: UNetStage
    private let planesBehindLatent: [Float]
    private let context: ComputeContext

    init(pass: StagePass, stage: UNetStage, planesBehindLatent: [Float], context: ComputeContext) {
        self.pass = pass
        self.stage = stage
        self.planesBehindLatent = planesBehindLatent
        self.context = context
    }

    /// Every strip takes its rows of the whole input, and the first one is given the whole result.
    func run(_ leg: Leg, _ input: StageValue) throws -> StageValue {
        let x = context.ownRows(of: tensor(input, for: leg))
        let y =
            switch leg {
            case .down: stage.isLast ? try pass.up(pass.down(x)) : try pass.down(x)
            case .up: try pass.up(x)
            case .upGradient: stage.isLast ? try pass.downGradient(pass.upGradient(x)) : try pass.upGradient(x)
            case .downGradient: try pass.downGradient(x)
            }
        let cut = context.cut(of: y)
        return value(try context.rows(of: y) { $0 == 0 ? 0..<cut.height : cut.rows[$0] }, of: leg)
    }

    /// A latent that goes into the network takes with it what is behind it; the gradient of the output is alone.
    private func tensor(_ value: StageValue, for leg: Leg) -> Tensor {
        switch value {
        case .hidden(let tensor): return tensor
        case .latent(let latent):
            let behind = leg == .down ? planesBehindLatent : []
            return Tensor(
                planes: latent.values + behind, channels: latent.channels + behind.count / latent.planeCount,
                height: latent.height, width: latent.width, in: context.with(elementType: .float32))
        }
    }

    /// What leaves the ladder at its top is a latent: the network's output, or the gradient of z alone.
    private func value(_ tensor: Tensor, of leg: Leg) -> StageValue {
        let goesUp = leg == .up || leg == .downGradient || stage.isLast
        guard stage.isFirst && goesUp else { return .hidden(tensor) }
        let (channels, height, width) = (stage.configuration.outputChannels, tensor.shape[0], tensor.shape[1])
        return .latent(
            Latent(
                channels: channels, height: height, width: width,
                values: Array(tensor.planes.prefix(channels * height * width))))
    }
}
