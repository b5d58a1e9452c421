import DiffusionModels
import PilotInpainting
import ShardedRuntime

extension PicturePasses {
    /// Those of a job with these parameters and a mask that is neither empty nor full.
    init(_ parameters: PilotParameters, _ scheduler: DDIMScheduler) throws {
        let plan = PilotPlan(
            parameters: parameters, timesteps: try scheduler.timesteps(steps: parameters.steps),
            trainingTimesteps: scheduler.trainingTimesteps,
            mask: LatentMask(height: 1, width: 2, isRepainted: [true, false]))
        self.init(rounds: plan.steps.flatMap { [Bool](repeating: true, count: $0.gradientSteps) + [false] })
    }
}
