import ArgumentParser
import InpaintingJobs
import PilotInpainting

extension PilotParameters.Algorithm: ExpressibleByArgument {}
extension PilotParameters.Preset: ExpressibleByArgument {}

/// Of which kinds a picture's steps are, and how many: what a picture costs.
struct StepOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "pilot, with any model; or inpaint, which leaves all to an inpainting model (one whose UNet takes the mask "
                + "and the masked image): steps, guidance and seed, no optimisation, no blending, no attention masks "
                + "(default: pilot).", valueName: "name"))
    var method: PilotParameters.Algorithm?

    @Option(
        help: ArgumentHelp(
            "Steps, coherence and gradient steps that belong together (default: balanced).", valueName: "name"))
    var preset: PilotParameters.Preset?

    @Option(
        parsing: .unconditional, help: ArgumentHelp("DDIM steps (default: 50).", valueName: "N"),
        transform: whole(PilotParameters.counts))
    var steps: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Share of the timesteps, from the first, that optimises; the rest blends. Gamma, 0 to 1 (default: 0.5).",
            valueName: "x"))
    var coherence: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Optimise at every Nth of these steps, tau (default: 5).", valueName: "N"),
        transform: whole(PilotParameters.counts))
    var optimizeEvery: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Gradient steps at an optimised timestep, K (default: 10).", valueName: "N"),
        transform: whole(PilotParameters.counts))
    var gradientSteps: Int?

    func apply(to parameters: inout PilotParameters) {
        if let method { parameters.algorithm = method }
        if let preset { parameters.adopt(preset) }
        if let steps { parameters.steps = steps }
        if let coherence { parameters.coherence = coherence }
        if let optimizeEvery { parameters.optimizeEvery = optimizeEvery }
        if let gradientSteps { parameters.gradientSteps = gradientSteps }
    }
}
