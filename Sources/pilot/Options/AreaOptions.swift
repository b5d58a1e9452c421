import ArgumentParser
import InpaintingJobs

extension PictureArea: ExpressibleByArgument {}

/// What part of the photograph the networks see.
struct AreaOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What the networks see: whole, all of the image; mask, a cut around the hole, which is put back into the "
                + "image at its full resolution; auto, mask for an image of more than 4 times the pixels that the model "
                + "was trained at, whole for others, and where --size is given (default: auto).", valueName: "area"))
    var area: PictureArea?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How much is seen on every side of the hole, for cuts: pixels of the image, or per cent of the hole's "
                + "longer side; never less than the feather (default: 50%).", valueName: "N or N%"),
        transform: padding)
    var areaPadding: AreaPadding?

    @Flag(
        inversion: .prefixedNo,
        help: ArgumentHelp(
            "Cut out holes that are far apart one by one, and not all together: each is computed as a picture of its "
                + "own, with seeds that follow each other."))
    var areaEach: Bool?

    private static func padding(_ text: String) throws -> AreaPadding {
        guard let padding = AreaPadding(rawValue: text) else { throw ValidationError(AreaPadding.expectation) }
        return padding
    }

    func apply(to settings: inout JobSettings) {
        if let area { settings.setArea(area) }
        if let areaPadding { settings.areaPadding = areaPadding }
        if let areaEach { settings.areaEach = areaEach }
    }
}
