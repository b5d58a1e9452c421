import Failures
import PilotInpainting

/// What a job tells whoever watches it.
public enum JobEvent: Sendable {
    /// What is allowed and unwise, or was not expected; one line.
    case warning(String)
    /// What the user may want to know; one line.
    case note(String)
    /// The job has come to a part that may take a while and tells nothing on its way.
    case began(JobPhase)
    /// All inputs are read and encoded, and the sampler is about to start: what it will do for each picture, and where.
    /// Of a picture that is computed cut by cut, all cuts.
    case planned([JobGeometry], PilotPlan, layout: String)
    /// The sampler's run number `run`, 0 for the first: a picture has one for each of its cuts, one after the other.
    case sampling(PilotEvent, run: Int)
    /// What comes next is for the comparison alone: the run again, by blending, as planned.
    case comparing(PilotPlan, run: Int)
    /// The sampler of the comparison of that run.
    case samplingComparison(PilotEvent, run: Int)
    /// Picture `image` is on the disk.
    case written(PictureResult, image: Int)
}

/// Called for each event of a job, from whatever task; it should return soon.
public typealias JobObserver = @Sendable (JobEvent) -> Void

/// One picture that was made.
public struct PictureResult: Sendable {
    /// The PNG file.
    public let file: String
    public let seed: UInt64
    /// What the loss was before the last gradient step of the last optimised timestep; nil without gradient steps.
    public let loss: LossValues?
    /// From the sampler's start until the files are written.
    public let seconds: Double
    /// Where that time went.
    public let ledger: PhaseLedger
    /// Why a file beside the picture could not be written, if so.
    let failureBeside: Failure?
}
