import DiffusionModels
import Failures
import ImageFiles
import PilotInpainting

/// The files of a job, read, checked and brought to its size.
struct JobInputs: Sendable {
    /// The job's, with its area decided.
    let settings: JobSettings
    /// The photograph as it is in its file.
    let photograph: RGBImage
    /// The same with 16 bits a sample, if the file has them.
    let deep: DeepImage?
    /// What is repainted of it, at its own size.
    let mask: BinaryMask
    /// What goes with the photograph into the result's file.
    let metadata: PictureMetadata
    /// How the photograph's colours become those that networks know, and back.
    let colours: ColourConversion
    /// What the networks see: all of the photograph, or its cuts.
    let parts: [JobPart]
    /// What each IP-Adapter's image encoder sees.
    let shownPictures: [Latent]
    /// The latent to start from, if the user gives one; otherwise noise.
    let initialLatent: Latent?
    /// Of every file, by the name that the user gave.
    let fingerprints: [String: String]
    /// The edits that made the image, the first one first, if it is a result itself.
    let edits: [JobRecord]?
    /// Things that did not prevent the reading but that the user should hear of; one line each.
    let warnings: [String]

    /// - Parameters:
    ///   - image: takes the place of the image's file, if that is made anew.
    ///   - recorded: the job that is repeated, if one is: files under the names it gives must not have changed.
    /// - Throws: `Failure` naming the file or the option.
    init(_ settings: JobSettings, image kept: [UInt8]?, model: ModelDescription, repeating recorded: JobRecord?) throws
    {
        let vae = model.vaeConfiguration
        var fingerprints: [String: String] = [:]
        func contents(_ file: JobFile) throws -> [UInt8] {
            let (bytes, fingerprint) = try file.contents(repeating: recorded)
            fingerprints[file.path] = fingerprint
            return bytes
        }
        let bytes = try kept ?? contents(.image(settings))
        if let kept { fingerprints[settings.image] = Fingerprint.of(kept) }
        let isOther = kept != nil && recorded?.fingerprint(of: .image(settings)) != fingerprints[settings.image]
        let image = try DecodedImage.decode(bytes, path: JobFile.image(settings).name)
        deep = try image.deep(bytes)
        let painted = try JobFile.mask(settings).map { try DecodedImage.decode(contents($0), path: $0.name) }
        let (grey, maskWarnings) = try Self.mask(painted, of: image)
        let size = PictureSize(width: image.width, height: image.height)
        self.settings = settings.decidingArea(of: size, model.sizes)
        colours = image.colours
        metadata = image.metadata
        photograph = image.rgb
        mask = settings.mask(grey)
        let pictures = try NetworkPictures(settings) { try DecodedImage.decode(contents($0), path: $0.name) }
        shownPictures = try pictures.shown(settings, to: model.imageEncoder)
        parts = try JobPart.parts(
            of: photograph, mask: mask, colours: colours, self.settings, model: model.sizes,
            isChosen: settings.area == .auto
        ).map { $0.with(mapsOf: settings, from: pictures) }
        let past = JobRecord.edits(of: image)
        edits = past.edits
        let other =
            "the edit before is not, byte for byte, what it was when this one was recorded: program, libraries or processor "
            + "are others"
        var warnings =
            image.warnings + image.photographWarnings + maskWarnings
            + [
                isOther ? other : nil, past.note, colours.warning(about: settings.image),
                parts.lazy.compactMap(\.geometry.warning).first,
            ].compactMap { $0 }
        if ShippedModel.isMeant(by: settings.model) {
            warnings += parts.lazy.compactMap { $0.likeness.warning(about: settings.image) }.prefix(1)
        }
        self.warnings = warnings + pictures.warnings(beside: image) + Self.warnings(aboutMapsOf: parts, settings)
        initialLatent = try JobFile.initialLatent(settings).map { [parts] file in
            guard parts.count == 1 else {
                throw Failure.usage(
                    "--initial-latent: belongs to one picture, and --area-each makes \(parts.count) of this photograph")
            }
            let geometry = parts[0].geometry
            fingerprints[file.path] = try file.fingerprint(repeating: recorded)
            return try InitialLatentFile.read(
                file.path, shape: [vae.latentChannels, geometry.latentHeight, geometry.latentWidth])
        }
        self.fingerprints = fingerprints
    }

    /// What the user should hear of maps that networks can do little with, once for each.
    private static func warnings(aboutMapsOf parts: [JobPart], _ settings: JobSettings) -> [String] {
        let controls = (settings.controls ?? []).enumerated().compactMap { index, control in
            parts.lazy.compactMap {
                $0.controlMaps[index].warning(about: control.image ?? settings.image, for: "--control")
            }.first
        }
        let adapters = (settings.t2iAdapters ?? []).enumerated().compactMap { index, adapter in
            parts.lazy.compactMap {
                $0.adapterMaps[index].warning(about: adapter.image ?? settings.image, for: "--t2i-adapter")
            }.first
        }
        return controls + adapters
    }

    /// Whether nothing is to be repainted.
    var isEmpty: Bool { parts.allSatisfy(\.latentMask.isEmpty) }

    /// What was painted as the photograph's mask, at its size, and what the user should hear of it.
    ///
    /// - Parameter painted: nil for the photograph's own alpha channel.
    private static func mask(
        _ painted: DecodedImage?, of image: DecodedImage
    ) throws -> (GreyImage, warnings: [String]) {
        guard let painted else {
            guard let mask = image.transparencyMask else {
                throw Failure.badData(
                    "--mask \(JobSettings.maskInAlpha): \(image.path) has no alpha channel, where what is transparent "
                        + "would be repainted; a file of that name is ./\(JobSettings.maskInAlpha)")
            }
            return (mask, [])
        }
        let read = painted.paintedMask
        let (grey, resizing) = try painted.fitted(read.grey, toWidth: image.width, height: image.height)
        let likeness = read.isInAlpha ? nil : painted.likenessWarning(asMaskOf: image)
        return (grey, painted.warnings + [read.warning, likeness, resizing].compactMap { $0 })
    }

    /// What to say when there is nothing to do.
    var explanationOfEmptyMask: String {
        mask.repaintedCount == 0
            ? "the mask has nothing to repaint: the result is the image as it is"
            : "the mask's \(mask.repaintedCount) pixels fall between the latent's cells, so that nothing is repainted: the "
                + "result is the image as it is; --mask-downsample max repaints each cell that the mask touches"
    }

    /// Of every file that the job reads, by the name that the user gave.
    ///
    /// - Throws: `Failure` if a file is not there or too large.
    static func fingerprints(of settings: JobSettings) throws -> [String: String] {
        var found: [String: String] = [:]
        for file in JobFile.all(of: settings) { found[file.path] = try file.fingerprint(repeating: nil) }
        return found
    }
}
