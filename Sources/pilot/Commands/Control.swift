import ArgumentParser
import InpaintingJobs

/// `pilot control`
struct Control: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "control",
        abstract: "Makes the map that a ControlNet sees of a picture, for looking or for changing by hand.",
        discussion: """
            pilot inpaint makes it by itself, with --control-preprocess. A map that was made here, and perhaps painted \
            on, is given to it by --control-image.

              pilot control photo.png --preprocess canny --output edges.png
              pilot inpaint --control canny-net --control-image edges.png …
            """)

    @Argument(
        help: ArgumentHelp("The picture, PNG, JPEG or WebP.", valueName: "picture"), completion: .file())
    var picture: String

    @Option(
        help: ArgumentHelp(
            "canny, its edges as OpenCV's Canny with thresholds 100 and 200 finds them; invert, for ink on paper; tile, its "
                + "colours in 8 x 8 tiles; none, the picture itself at the size.", valueName: "way"))
    var preprocess: ControlSettings.Preprocessing

    @Option(help: ArgumentHelp("The map, PNG.", valueName: "file"), completion: .file(extensions: ["png"]))
    var output: String

    @Option(
        help: ArgumentHelp(
            "The job's size, to which the picture is brought first: edges are a pixel wide there (default: the picture's "
                + "own).", valueName: "WxH"))
    var size: PictureSize?

    @Flag(help: "Write over a file that is there.")
    var overwrite = false

    func run() throws {
        try ControlMapFile.write(
            from: picture, by: preprocess, size: size, to: output, overwrites: overwrite, warn: Console.warn)
    }
}
