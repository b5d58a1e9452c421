import ArgumentParser
import InpaintingJobs
import PilotInpainting

extension PilotParameters.AreaWeight: ExpressibleByArgument {}
extension PilotParameters.MaskDownsample: ExpressibleByArgument {}

/// The method's parameters; those not given have the preset's values, or the recorded job's.
struct MethodOptions: ParsableArguments {
    @OptionGroup var steps: StepOptions

    @Option(
        parsing: .unconditional, help: ArgumentHelp("How much the prompt counts, omega (default: 7.5).", valueName: "x")
    )
    var guidanceScale: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Learning rate at timestep 950 (default: 0.03; 0.05 with --control).", valueName: "x"))
    var learningRate: Double?

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Learning rate at the first step (default: 0.007).", valueName: "x")
    )
    var warmupLearningRate: Double?

    @Option(
        parsing: .unconditional, help: ArgumentHelp("Momentum of the gradient steps (default: 0.7).", valueName: "x"))
    var momentum: Double?

    @Option(parsing: .unconditional, help: ArgumentHelp("Weight of the semantic loss (default: 110).", valueName: "x"))
    var lambda: Double?

    @Option(help: ArgumentHelp("How that weight follows the kept area (default: square).", valueName: "law"))
    var lambdaArea: PilotParameters.AreaWeight?

    @Flag(inversion: .prefixedNo, help: "Hide the prompt from the kept part (default: --cross-attention-mask).")
    var crossAttentionMask: Bool?

    @Flag(
        inversion: .prefixedNo,
        help: "Hide the repainted part from the kept part in early steps (default: --self-attention-mask).")
    var selfAttentionMask: Bool?

    @Option(
        help: ArgumentHelp(
            "How the mask becomes the latent's (default: nearest; max repaints each cell that is touched).",
            valueName: "way"))
    var maskDownsample: PilotParameters.MaskDownsample?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Seed of the noise, as in PyTorch (default: 0); random draws one, and the result's record has what was "
                + "drawn.", valueName: "N"),
        transform: SeedOption.read)
    var seed: SeedOption?

    func apply(to draft: inout JobDraft) {
        apply(to: &draft.settings.method)
        if learningRate != nil { draft.saysLearningRate = true }
        switch seed {
        case .number(let seed): draft.setSeed(seed)
        case .random: draft.drawsSeed = true
        case nil: break
        }
    }

    private func apply(to parameters: inout PilotParameters) {
        steps.apply(to: &parameters)
        if let guidanceScale { parameters.guidanceScale = guidanceScale }
        if let learningRate { parameters.learningRate = learningRate }
        if let warmupLearningRate { parameters.warmupLearningRate = warmupLearningRate }
        if let momentum { parameters.momentum = momentum }
        if let lambda { parameters.lambda = lambda }
        if let lambdaArea { parameters.lambdaArea = lambdaArea }
        if let crossAttentionMask { parameters.crossAttentionMask = crossAttentionMask }
        if let selfAttentionMask { parameters.selfAttentionMask = selfAttentionMask }
        if let maskDownsample { parameters.maskDownsample = maskDownsample }
    }
}
