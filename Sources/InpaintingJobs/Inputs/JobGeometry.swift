import Failures

/// The sizes of one job, or of one cut of it: of the photograph, of the picture that the networks see, of its latent.
public struct JobGeometry: Equatable, Sendable {
    public let photograph: PictureSize
    /// What of the photograph the networks see; nil for all of it.
    public let cut: PictureCut?
    /// Multiples of the autoencoder's factor.
    public let picture: PictureSize
    /// What the model says of sizes.
    public let model: ModelSizes
    /// Whether the picture has another size than the photograph, or shows a cut alone, for the sake of what the model was
    /// trained at.
    public let isFitted: Bool

    /// The size in the photograph of what the networks see.
    public var original: PictureSize { cut?.size ?? photograph }
    public var latentHeight: Int { picture.height / model.factor }
    public var latentWidth: Int { picture.width / model.factor }

    /// - Parameter asked: what `--size` says. Without it: the photograph's own size, rounded down to the factor, or one
    ///   near the model's when the photograph's is far beyond.
    /// - Throws: `Failure.usage` naming `--size` when the size can't be had.
    public init(photograph: PictureSize, asked: PictureSize?, model: ModelSizes) throws {
        self.photograph = photograph
        self.model = model
        cut = nil
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

    /// - Parameter isFitted: whether nobody asked for a cut.
    init(_ cut: PictureCut, of photograph: PictureSize, model: ModelSizes, isFitted: Bool) {
        self.photograph = photograph
        self.cut = cut
        self.model = model
        self.isFitted = isFitted
        picture = cut.picture
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
                + "be repeated, and time is spent; --size \(model.fitting(original)) is nearer to what it knows"
        }
        return nil
    }

    /// `600x400, computed at 96x64 (…)`
    fileprivate var summary: String {
        guard picture != photograph else { return "\(picture)" }
        guard isFitted, let side = model.trainedSide else { return "\(photograph), computed at \(picture)" }
        return
            "\(photograph), computed at \(picture) (the model was trained at \(side)x\(side); --size overrides this)"
    }
}

extension [JobGeometry] {
    private static var mostNamed: Int { 3 }

    /// What is computed of a photograph, as one picture or cut by cut.
    ///
    ///     4000x3000, of which 900x675 around the hole are computed at 576x432 (scale 0.64); …
    public var summary: String {
        guard let first, first.cut != nil else { return self.first?.summary ?? "" }
        let cuts = compactMap(\.cut).map { cut in
            "\(cut.size) \(count > 1 ? "" : "around the hole are ")computed at \(cut.picture) (scale \(cut.scale))"
        }
        let more = count > Self.mostNamed ? " and \(count - Self.mostNamed) more" : ""
        let named = cuts.prefix(Self.mostNamed).joined(separator: ", ") + more
        let what =
            count > 1
            ? "\(first.photograph), of which \(count) cuts around holes: \(named)"
            : "\(first.photograph), of which \(named)"
        guard first.isFitted, let side = first.model.trainedSide else { return what }
        return
            "\(what), since the model was trained at \(side)x\(side), far less than all of it (--area whole overrides this)"
    }
}
