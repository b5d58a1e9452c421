import DiffusionModels
import NeuralLayers
import ReferenceKernels
import TensorKernels

/// One evaluation of a fixture's network: its latent, prompt, masks and cotangent in one context.
struct UNetCase {
    /// The sides of the latent.
    static func size(_ name: String) throws -> (height: Int, width: Int) {
        let shape = try ModelFixture(name).tensor("unet.cotangent").shape
        return (shape[1], shape[2])
    }

    let unet: UNetStage
    private let fixture: ModelFixture
    private let context: ComputeContext
    private let input: Tensor
    private let cotangent: Tensor
    private let embedding: Tensor
    private let prompt: PromptMemory
    private let masks: MaskPyramid

    /// - Parameter weights: the network's; nil for the fixture's own.
    init(
        _ name: String, store: WeightStore = WeightStore(), weights: (any WeightSource)? = nil,
        in context: ComputeContext
    ) throws {
        fixture = try ModelFixture(name)
        self.context = context
        let fixture = fixture
        let configuration = try fixture.folder.unetConfiguration()
        unet =
            try weights.map { UNetStage(configuration, weights: $0) }
            ?? fixture.network(.unet, store: store) { UNetStage(configuration, weights: $0) }
        input = try fixture.unetInput(in: context)
        let (shape, planes) = try fixture.tensor("unet.cotangent")
        cotangent = Tensor(planes: planes, channels: shape[0], height: shape[1], width: shape[2], in: context)
        let states = try fixture.tensor("unet.embedding")
        embedding = Tensor(states.values, shape: states.shape, in: context)
        prompt = PromptMemory(embedding: embedding)
        masks = MaskPyramid(
            mask: Latent(
                channels: 1, height: shape[1], width: shape[2], values: try fixture.tensor("unet.latent_mask").values),
            chunkLength: states.shape[0])
    }

    /// Has all layers lay out their weights.
    ///
    /// - Parameters:
    ///   - rungs: of a stage of its own, in `store`; nil for the whole network.
    func layOut(rungs: Range<Int>? = nil, store: WeightStore = WeightStore()) throws {
        let idle = ComputeContext(layingOutFor: context)
        let stage =
            try rungs.map { rungs in
                UNetStage(
                    unet.configuration, rungs: rungs,
                    weights: CheckpointWeights(try fixture.folder.weights(of: .unet), store: store))
            } ?? unet
        let masks = masks
        let conditioning = Conditioning(
            prompt: PromptMemory(embedding: embedding), time: try stage.timeMemory(timestep: 1, in: idle),
            masks: { masks.masks([], height: $0, width: $1) })
        let size = (input.shape[0], input.shape[1])
        try stage.goThrough(conditioning, height: size.0, width: size.1, in: idle)
    }

    /// The same, computed by `run` of the stages of `cut`, from input and cotangent, each stage with a conditioning of
    /// its own.
    func evaluations(
        cut: [Range<Int>],
        _ run: ([UNetStage], Tensor, Tensor, [Conditioning]) throws -> (noise: [Float], gradient: [Float])
    ) throws -> [(name: String, noise: [Float], gradient: [Float])] {
        let stages = try cut.map { rungs in
            let weights = CheckpointWeights(try fixture.folder.weights(of: .unet))
            return UNetStage(unet.configuration, rungs: rungs, weights: weights)
        }
        return try fixture.cases.map { test in
            let conditionings = try stages.map { stage in
                let masks = masks
                return Conditioning(
                    prompt: PromptMemory(embedding: embedding),
                    time: try stage.timeMemory(timestep: test.timestep, in: context),
                    masks: { masks.masks(test.masking, height: $0, width: $1) })
            }
            let (noise, gradient) = try run(stages, input, cotangent, conditionings)
            return (test.name, noise, gradient)
        }
    }

    /// Noise and input gradient at every timestep and masking of the fixture; of this rank's rows, where the context's
    /// pictures are in strips.
    func evaluations() throws -> [(name: String, noise: [Float], gradient: [Float])] {
        try fixture.cases.map { test in
            let masks = masks
            let conditioning = Conditioning(
                prompt: prompt, time: try unet.timeMemory(timestep: test.timestep, in: context),
                masks: { masks.masks(test.masking, height: $0, width: $1) })
            let (noise, pullback) = try unet.withPullback(context.ownRows(of: input), conditioning, in: context)
            return (test.name, noise.floats, try pullback(context.ownRows(of: cotangent)).floats)
        }
    }
}
