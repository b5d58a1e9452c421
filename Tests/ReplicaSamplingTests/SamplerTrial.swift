import DiffusionModels
import PilotInpainting
import ShardedRuntime
import TestSupport

/// A small picture for the sampler, on one of the tiny models.
struct SamplerTrial {
    let model: StageModel
    var parameters = PilotParameters()
    var wants: SamplerRun.Wants = []
    var initialLatent: Latent?

    init(fixture: String = "sd1") throws {
        model = try StageModel(fixture: fixture)
        parameters.steps = 6
        parameters.coherence = 0.6
        parameters.optimizeEvery = 2
        parameters.gradientSteps = 3
    }

    func run(image: Int = 0) throws -> SamplerRun {
        let (height, width) = (8, 9)
        let channels = model.configuration.outputChannels
        let imageLatent = Latent(
            channels: channels, height: height, width: width,
            values: (0..<channels * height * width).map { Float(($0 * 37) % 101) / 50 - 1 })
        let mask = LatentMask(
            height: height, width: width, isRepainted: (0..<height * width).map { $0 % width > 3 })
        let sampler = try PilotSampler(
            parameters: parameters, scheduler: DDIMScheduler(SchedulerConfiguration(), file: "tiny.json"), mask: mask,
            imageLatent: imageLatent)
        let embeddingWidth = model.configuration.crossAttentionDimension
        let branches = GuidanceBranch.allCases.map { branch in
            BranchInputs(
                embedding: (0..<7 * embeddingWidth).map { Float($0 % 13 + branch.rawValue) / 10 - 0.6 }, tokens: 7,
                width: embeddingWidth, mask: mask.latent)
        }
        return SamplerRun(
            sampler: sampler, branches: branches, image: image, initialLatent: initialLatent, wants: wants)
    }

    func ranks(replicas: Int, branches: Int = 1, stages: Int = 1) throws -> LocalRanks {
        LocalRanks(model, try model.layout(replicas: replicas, branches: branches, stages: stages))
    }
}
