import Failures

/// The sizes of one job: of the photograph, of the picture that the networks see, of its latent.
public struct JobGeometry: Equatable, Sendable {
    public let photograph: PictureSize
    /// Multiples of the autoencoder's factor.
    public let picture: PictureSize
    /// What the model says of sizes.
    public let model: ModelSizes
    /// Whether the picture has another size than the photograph for the sake of what the model was trained at.
    public let isFitted: Bool

    public var latentHeight: Int { picture.height / model.factor }
    public var latentWidth: Int { picture.width / model.factor }

    /// - Parameter asked: what `--size` says. Without it: the photograph's own size, rounded down to the factor, or one
    ///   near the model's when the photograph's is far beyond.
    /// - Throws: `Failure.usage` naming `--size` when the size can't be had.
    public init(photograph: PictureSize, asked: PictureSize?, model: ModelSizes) throws {
        self.photograph = photograph
        self.model = model
        isFitted = asked == nil && model.isFarExceeded(by: photograph)
        picture = asked ?? (isFitted ? model.fitting(photograph) : model.rounded(photograph))
        if let asked, asked.width % model.factor != 0 || asked.height % model.factor != 0 {
            throw Failure.usage(
                "--size: expected multiples of \(model.factor), the factor of the model's autoencoder, found \(asked); "
                    + "\(model.rounded(asked)) would do")
        }
        guard ModelSizes.areAllowed(picture) else {
            throw Failure.usage(
                "--size: a job has \(ModelSizes.mostPixels) pixels at most (2048x2048), found \(picture); "
                    + "--size \(model.fitting(photograph)) has about this image's aspect")
        }
    }

    /// What the user should hear about a size that is allowed but unwise.
    public var warning: String? {
        let least = ModelSizes.fewestCells
        if min(latentHeight, latentWidth) < least {
            let side = least * model.factor
            return
                "the job's size is \(picture), a latent of \(latentWidth)x\(latentHeight): expect little from pictures "
                + "below \(side)x\(side); a larger --size may help"
        }
        if let trainedSide = model.trainedSide, model.isFarExceeded(by: picture) {
            return
                "the job's size is \(picture), and the model was trained at \(trainedSide)x\(trainedSide): objects may "
                + "be repeated, and time is spent; --size \(model.fitting(photograph)) is nearer to what it knows"
        }
        return nil
    }

    /// `600x400, computed at 96x64 (…)`
    public var summary: String {
        guard picture != photograph else { return "\(picture)" }
        guard isFitted, let side = model.trainedSide else { return "\(photograph), computed at \(picture)" }
        return
            "\(photograph), computed at \(picture) (the model was trained at \(side)x\(side); --size overrides this)"
    }
}
