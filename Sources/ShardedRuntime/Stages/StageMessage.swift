import DiffusionModels
import Failures
import MessagePassing
import TensorKernels

/// What the ranks of a replica say to each other. Between stages messages keep their order, so that a job is open
/// before its first pass comes, and nothing of a pass comes after its discard.
enum StageMessage: Sendable {
    /// From the driver down the chain: a branch of a job begins.
    case open(JobIdentity, GuidanceBranch, BranchInputs)
    /// A leg's input: `down` and `upGradient` from above, `up` and `downGradient` from below. The settings matter to
    /// `down` alone.
    case leg(PassIdentity, Leg, PassSettings, StageValue)
    /// Down the chain: no more of this pass is wanted.
    case discard(PassIdentity)
    /// Up the chain again: nothing of the pass can come any more.
    case discardReturned(PassIdentity)
    /// Down the chain: the job is over.
    case close(JobIdentity)
    /// From rank 0: work on a picture.
    case picture(PictureRequest, PictureValue)
    /// To the other strips of a stage: the next bit of work on a picture.
    case pictureBit(PictureRequest)
    /// From rank 0: tell what you did.
    case askReport
    /// From rank 0 or the driver: tell what you are at.
    case askState
    /// From rank 0: give what you took down.
    case askTrace
    /// From rank 0: end the service.
    case stop

    /// To the driver: the noise, or the latent's gradient, of a pass.
    case result(PassIdentity, isGradient: Bool, Latent)
    /// To rank 0: what was asked of a picture.
    case pictureDone(PictureRequest, PictureValue)
    /// To the driver: the pass can't go on.
    case passFailed(PassIdentity, Failure)
    /// To the driver: the job can't begin.
    case jobFailed(JobIdentity, Failure)
    /// To rank 0: the work on a picture can't go on.
    case pictureFailed(PictureRequest, Failure)
    /// To rank 0: what the rank did, a `RankReport` as text.
    case report(String)
    /// To whoever asked: what the rank is at.
    case state(StageState)
    /// To rank 0: what the rank took down.
    case trace(RankTrace)
    /// To the driver: the rank has begun to serve, on a machine of this name.
    case present(String)

    /// From rank 0 to the driver of another replica: a job, in bytes that only whoever wrote them reads.
    case order(JobIdentity, [UInt8])
    /// From rank 0 to the driver of another replica: the job is not wanted any more.
    case cancelOrder(JobIdentity)
    /// To rank 0 from there: how far an order is, in bytes as well.
    case news(JobIdentity, [UInt8])
    /// To rank 0: what came of an order.
    case orderDone(JobIdentity, [UInt8])
    /// To rank 0: why an order can't go on.
    case orderFailed(JobIdentity, Failure)
    /// To rank 0: a wait in another replica has grown long; nil when it is over.
    case notice(StallNotice?)
    /// To rank 0: another replica stands still, and why.
    case verdict(Failure)

    /// Whether it is for a rank's driver, or for rank 0 as who asks, and not for its stage.
    var isForDriver: Bool {
        switch self {
        case .open, .leg, .discard, .discardReturned, .close, .picture, .pictureBit, .askReport, .askState, .askTrace,
            .stop:
            false
        case .result, .pictureDone, .passFailed, .jobFailed, .pictureFailed, .report, .state, .trace, .present, .order,
            .cancelOrder, .news, .orderDone, .orderFailed, .notice, .verdict:
            true
        }
    }
}

/// Names one piece of work on a picture.
public struct PictureRequest: Hashable, Sendable {
    public let job: JobIdentity
    public let work: PictureWork
    /// Tells several of one job apart.
    public let number: UInt32

    public init(job: JobIdentity, work: PictureWork, number: UInt32) {
        self.job = job
        self.work = work
        self.number = number
    }

    var task: StageTask { .picture(job, work, number: number) }
}

/// What goes into work on a picture, and what comes out.
public enum PictureValue: Sendable, Equatable {
    /// A chunk of a prompt.
    case tokens(TokenChunk)
    /// A map for a T2I-Adapter, or a picture for an IP-Adapter, and which of its kind it is.
    case shown(Latent, to: Int)
    /// What it makes of that: a feature for each level of the UNet; tokens of the picture and of none.
    case made([Latent])
    /// Planes, channels first: a picture `[3, H, W]`, a latent, or a chunk's states as `[1, tokens, width]`.
    case planes(Latent)
}
